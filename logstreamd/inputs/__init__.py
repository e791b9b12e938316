"""Inputs own a socket or an HTTP body and turn what arrives into batches. They know nothing of log formats."""
