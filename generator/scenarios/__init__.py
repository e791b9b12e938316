"""What can be played: each module has ``OPTIONS``, and ``run(flags, environment, stop)`` returns the exit code."""
