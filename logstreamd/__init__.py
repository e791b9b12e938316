"""logstreamd: syslog and JSON logs in, PostgreSQL underneath, search and alerts on top."""

__version__ = "0.1.0"
