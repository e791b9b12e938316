"""Where lines go. One file per way; :mod:`.output` is what the loop knows of them."""
