"""Where settings come from: config file, environment variables, `.env`; who wins; and where each value came from."""
