"""The console: pages made on the server over ``control``, and small scripts that call the API."""
