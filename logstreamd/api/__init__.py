"""The HTTP side of the daemon: one file per resource, an application that knows them all."""
