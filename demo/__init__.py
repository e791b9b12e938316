"""``make demo``: the daemon, two sources of logs and an incident, with a tour on the terminal."""
