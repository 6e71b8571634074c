-- The ledger watches itself: what no transaction of the product may ever do.
-- Nothing is refused, only written down, so that the product behaves as it is.

CREATE TABLE watched (what text NOT NULL, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE watched_version (version bigint PRIMARY KEY);

CREATE FUNCTION watched(found text) RETURNS void LANGUAGE sql AS
  $$ INSERT INTO watched (what) VALUES (found) $$;

-- I3, I10: T1 belongs to the fenced owner of a running job, versions are new
CREATE FUNCTION watch_intent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO watched_version VALUES (NEW.version) ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    PERFORM watched('I10: version ' || NEW.version || ' is used again');
  END IF;
  IF NOT EXISTS (SELECT FROM sync_job WHERE connection_id = NEW.connection_id
                 AND status = 'running' AND fence = NEW.fence) THEN
    PERFORM watched('I3: T1 by someone who does not own a running job');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER watch_intent AFTER INSERT ON intent
  FOR EACH ROW EXECUTE FUNCTION watch_intent();

-- I3, I8: T2 commits what its own owner announced
CREATE FUNCTION watch_commit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE announced bigint;
BEGIN
  SELECT fence INTO announced FROM intent
    WHERE connection_id = NEW.connection_id AND version = NEW.version;
  IF NOT FOUND THEN
    PERFORM watched('I8: version ' || NEW.version || ' was never announced');
  ELSIF NOT EXISTS (SELECT FROM sync_job WHERE id = NEW.updated_by
      AND connection_id = NEW.connection_id AND fence = announced
      AND status IN ('running', 'cancelling')) THEN
    PERFORM watched('I3: T2 by someone who does not own the job');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER watch_insert AFTER INSERT ON entity
  FOR EACH ROW EXECUTE FUNCTION watch_commit();
CREATE TRIGGER watch_update AFTER UPDATE ON entity
  FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION watch_commit();

-- I13: whatever stops being live is thrown away in the same transaction
CREATE FUNCTION watch_old_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM garbage WHERE version = OLD.version)
     AND EXISTS (SELECT FROM source_connection
                 WHERE id = OLD.connection_id AND NOT is_deleting) THEN
    PERFORM watched('I13: version ' || OLD.version || ' was left lying');
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER watch_replaced AFTER UPDATE ON entity
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.version <> NEW.version)
  EXECUTE FUNCTION watch_old_version();
CREATE CONSTRAINT TRIGGER watch_deleted AFTER DELETE ON entity
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch_old_version();

-- I12: statuses follow the graph, fences grow, final jobs change no more
CREATE FUNCTION watch_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status <> NEW.status AND OLD.status || '>' || NEW.status NOT IN (
      'pending>running', 'pending>cancelled', 'pending>failed', 'running>completed',
      'running>failed', 'running>cancelling', 'cancelling>cancelled') THEN
    PERFORM watched('I12: from ' || OLD.status || ' to ' || NEW.status);
  END IF;
  IF NEW.fence < OLD.fence THEN
    PERFORM watched('I3: a fence went back');
  END IF;
  IF OLD.completed_at IS NOT NULL AND (NEW.inserted, NEW.updated, NEW.deleted,
      NEW.failed, NEW.kept, NEW.completed_at, NEW.started_at) IS DISTINCT FROM
      (OLD.inserted, OLD.updated, OLD.deleted, OLD.failed, OLD.kept,
       OLD.completed_at, OLD.started_at) THEN
    PERFORM watched('I5: a final job changed its counts or times');
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER watch_job AFTER UPDATE ON sync_job
  FOR EACH ROW EXECUTE FUNCTION watch_job();

-- I5, I7: counts are what the changes add up to; a final job leaves no intent
CREATE FUNCTION watch_truth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE job sync_job; i bigint; u bigint; d bigint;
BEGIN
  SELECT * INTO job FROM sync_job WHERE id = NEW.id;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF job.status IN ('running', 'cancelling') THEN
    SELECT count(*) FILTER (WHERE after AND NOT before),
           count(*) FILTER (WHERE after AND before),
           count(*) FILTER (WHERE before AND NOT after)
      INTO i, u, d FROM job_change WHERE job_id = job.id;
    IF (i, u, d) IS DISTINCT FROM (job.inserted, job.updated, job.deleted) THEN
      PERFORM watched(format('I5: counts %s/%s/%s, changes %s/%s/%s',
        job.inserted, job.updated, job.deleted, i, u, d));
    END IF;
    IF job.failed <> (SELECT count(*) FROM job_failure
                      WHERE job_id = job.id AND NOT resolved) THEN
      PERFORM watched('I5: failed is not the number of failures');
    END IF;
  ELSIF job.completed_at IS NOT NULL AND EXISTS (
      SELECT FROM intent WHERE connection_id = job.connection_id
      AND fence <= job.fence) THEN
    PERFORM watched('I7: a final job left an intent');
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER watch_truth AFTER UPDATE ON sync_job
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION watch_truth();

-- I6: the cursor moves only with a job that completes, and to its last checkpoint
CREATE FUNCTION watch_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE job sync_job;
BEGIN
  SELECT * INTO job FROM sync_job WHERE connection_id = NEW.id
    ORDER BY sequence DESC LIMIT 1;
  IF job.status <> 'completed' OR job.checkpoint IS DISTINCT FROM NEW.cursor THEN
    PERFORM watched('I6: the cursor moved with a job ' || job.status);
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER watch_cursor AFTER UPDATE ON source_connection
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN (OLD.cursor IS DISTINCT FROM NEW.cursor) EXECUTE FUNCTION watch_cursor();
