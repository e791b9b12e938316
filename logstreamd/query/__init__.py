"""Questions about what is stored: the only way for the API, the CLI and the alerts to reach the database."""
