"""How to speak to a platform: one file each, all behind ``protocol.Connector``."""
