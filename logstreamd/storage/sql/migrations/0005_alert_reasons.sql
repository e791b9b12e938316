-- Why an alert ended, where it was not its condition.

ALTER TABLE public.alert_events ADD COLUMN reason text;
COMMENT ON COLUMN public.alert_events.reason IS 'Why the alert ended, where not because its condition held no more; else NULL';
COMMENT ON COLUMN public.alert_state.handed_over IS 'Whether the notifiers were told what changed last; until then another daemon that takes over tells it, too';
