"""What we remember: SQLAlchemy Core over SQLite or PostgreSQL. Functions take an open transaction first."""
