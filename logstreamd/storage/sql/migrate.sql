-- Queries of migrate.py.

-- take_turns --
SELECT set_config('lock_timeout', '0', true), set_config('statement_timeout', '0', true),
       pg_advisory_xact_lock(hashtextextended('logstreamd schema', 0))

-- create_schema_version --
DO $$ BEGIN
    IF to_regclass('public.schema_version') IS NULL THEN
        CREATE TABLE public.schema_version (
            version    integer     PRIMARY KEY,
            name       text        NOT NULL,
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            additive   boolean     NOT NULL DEFAULT false
        );
        COMMENT ON TABLE public.schema_version IS 'The steps by which these tables were made';
        COMMENT ON COLUMN public.schema_version.version IS 'Number of the step';
        COMMENT ON COLUMN public.schema_version.name IS 'Name of its file';
        COMMENT ON COLUMN public.schema_version.checksum IS 'SHA-256 of its file, to notice a later change';
        COMMENT ON COLUMN public.schema_version.applied_at IS 'When it was taken';
    -- Made by a development version. Looked for first: ALTER TABLE would wait for a backup that is under way.
    ELSIF NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = 'public.schema_version'::regclass AND attname = 'additive'
    ) THEN
        ALTER TABLE public.schema_version ADD COLUMN additive boolean NOT NULL DEFAULT false;
    ELSE
        RETURN;
    END IF;
    COMMENT ON COLUMN public.schema_version.additive IS 'Whether a logstreamd that does not know the step works on';
END $$

-- has_schema_version --
SELECT to_regclass('public.schema_version') IS NOT NULL

-- applied --
SELECT version, name, checksum, applied_at, coalesce((to_jsonb(step) ->> 'additive')::boolean, false)
FROM public.schema_version AS step ORDER BY version

-- record --
INSERT INTO public.schema_version (version, name, checksum, additive) VALUES ($1, $2, $3, $4)
