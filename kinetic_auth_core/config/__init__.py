"""Settings from config file, environment variables and `.env`: which value wins, and where it came from."""
