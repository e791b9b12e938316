"""The composition root: it alone knows all the parts, and nothing knows it but the commands.

==================  ====================================================================
``run``             the order in which everything comes and goes, and the signals
``serving``         the HTTP side
``intake``          inputs and spool; ``running_inputs`` opens and closes inputs
``storing``         writer and database keeper; ``connecting``: how they connect
``alerting``        rules, notifiers, history
``reload``          a changed configuration is put in force, all of it or nothing
``material``        what start, reload and ``check-config`` read
``supervisor``      the background tasks; one that dies ends the daemon
``service``         what a service manager is told; ``vitals``: whether to tell it so
``report``          ``/ready``, ``/status`` and the first lines on a terminal
==================  ====================================================================
"""
