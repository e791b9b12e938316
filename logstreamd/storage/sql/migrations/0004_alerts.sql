-- What rules found out, where they stand, and what nobody wants to hear of for a while.

CREATE TABLE public.alert_events (
    id          bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz      NOT NULL,
    alert       text             NOT NULL,
    fingerprint text             NOT NULL,
    before      text             NOT NULL,
    after       text             NOT NULL,
    labels      jsonb            NOT NULL,
    annotations jsonb            NOT NULL,
    value       double precision NOT NULL,
    active_at   timestamptz      NOT NULL,
    starts_at   timestamptz,
    ends_at     timestamptz,
    samples     jsonb            NOT NULL
);
CREATE INDEX alert_events_at ON public.alert_events (at, id);
CREATE INDEX alert_events_fired ON public.alert_events (fingerprint, starts_at) WHERE after = 'firing';

COMMENT ON TABLE public.alert_events IS 'Every alert that went from one state into another, with the values and lines that show why';
COMMENT ON COLUMN public.alert_events.id IS 'Grows with each event; the order in which they happened';
COMMENT ON COLUMN public.alert_events.at IS 'Instant of the evaluation that found it out';
COMMENT ON COLUMN public.alert_events.alert IS 'Name of the rule';
COMMENT ON COLUMN public.alert_events.fingerprint IS 'Stands for the labels; the same in every message about the alert';
COMMENT ON COLUMN public.alert_events.before IS 'inactive, pending or firing';
COMMENT ON COLUMN public.alert_events.after IS 'inactive, pending, firing or resolved';
COMMENT ON COLUMN public.alert_events.labels IS 'What identifies the alert';
COMMENT ON COLUMN public.alert_events.annotations IS 'What is said about it';
COMMENT ON COLUMN public.alert_events.value IS 'What was measured when the condition last held';
COMMENT ON COLUMN public.alert_events.active_at IS 'Since when the condition held';
COMMENT ON COLUMN public.alert_events.starts_at IS 'When it began to fire; NULL: it did not';
COMMENT ON COLUMN public.alert_events.ends_at IS 'When it was resolved; NULL: it was not';
COMMENT ON COLUMN public.alert_events.samples IS 'Newest lines that prove it, as the API shows them; only where it begins to fire';
COMMENT ON SEQUENCE public.alert_events_id_seq IS 'Numbers of alert_events';
COMMENT ON INDEX public.alert_events_at IS 'What happened in a range of time, and what is old enough to go';
COMMENT ON INDEX public.alert_events_fired IS 'The lines of an alert that fires, after a restart';

-- Written in the transaction of the events that led there.
CREATE TABLE public.alert_state (
    rule             text             PRIMARY KEY,
    state            jsonb            NOT NULL,
    alerts           jsonb            NOT NULL,
    notify           text[]           NOT NULL,
    interval_seconds double precision NOT NULL,
    handed_over      boolean          NOT NULL,
    saved_at         timestamptz      NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

COMMENT ON TABLE public.alert_state IS 'Where each alert rule stands, for the next start and for other daemons';
COMMENT ON COLUMN public.alert_state.rule IS 'Its name';
COMMENT ON COLUMN public.alert_state.state IS 'For logstreamd itself; its shape may change';
COMMENT ON COLUMN public.alert_state.alerts IS 'Its alerts that are pending or fire: state, labels, annotations, value, fingerprint, active_at, starts_at';
COMMENT ON COLUMN public.alert_state.notify IS 'Notifiers that are told';
COMMENT ON COLUMN public.alert_state.interval_seconds IS 'How often it is evaluated';
COMMENT ON COLUMN public.alert_state.handed_over IS 'Whether the notifiers'' outbox has what changed last';
COMMENT ON COLUMN public.alert_state.saved_at IS 'When this was written: at each change of an alert, and now and then';

CREATE TABLE public.silences (
    id         uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    matchers   jsonb       NOT NULL,
    author     text        NOT NULL,
    comment    text        NOT NULL,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE public.silences IS 'Alerts that match are shown and not told, for a while';
COMMENT ON COLUMN public.silences.id IS 'Its name';
COMMENT ON COLUMN public.silences.matchers IS 'All must match an alert''s labels: name, value, is_regex, is_equal';
COMMENT ON COLUMN public.silences.author IS 'Who wants it';
COMMENT ON COLUMN public.silences.comment IS 'Why';
COMMENT ON COLUMN public.silences.starts_at IS 'From when on';
COMMENT ON COLUMN public.silences.ends_at IS 'Until when; deleting a silence ends it';
COMMENT ON COLUMN public.silences.created_at IS 'When it was made';
COMMENT ON COLUMN public.silences.updated_at IS 'When it was changed last';
