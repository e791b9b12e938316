"""Messages → receivers, one module for each type of notifier.

============== =====================================================================================
module         what it is
============== =====================================================================================
notifier       what a notifier is, and how it fails; ``build``: from the configuration
own_log        the daemon's own log
webhook        JSON in the shape of Alertmanager's webhook; ``signature``: signed
alertmanager   Alertmanager's API, version 2; ``alert_json``: alerts as both of them want them
email          SMTP
slack          incoming webhooks of chat services; ``text``: messages as people read them
http_client    POST within limits; ``addresses``: to whom it refuses to connect
secret         a secret in a file or a variable
attempts       quick retries under a circuit breaker
============== =====================================================================================
"""
