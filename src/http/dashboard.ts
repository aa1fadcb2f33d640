/** The page at `/`: self-contained, fed by `/api/events`. Values are written as text, never as markup. */
export const DASHBOARD = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>partitioner</title>
<style>
  :root { color-scheme: light dark; --line: #8884; --good: #2a8a4a; --work: #2f6fd0; --bad: #c0392b; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }
  header { display: flex; flex-wrap: wrap; gap: .75rem; align-items: baseline; }
  h1 { font-size: 1.3rem; margin: 0; overflow-wrap: anywhere; }
  .phase { padding: .1rem .6rem; border-radius: 1rem; color: #fff; background: var(--work); }
  .phase.good { background: var(--good); } .phase.bad { background: var(--bad); }
  .bar { display: flex; height: 1.1rem; border-radius: .3rem; overflow: hidden; background: var(--line); margin: .3rem 0 1.2rem; }
  .bar i { display: block; } .live { background: var(--good); } .indexing { background: #8bb8ef; } .loading { background: var(--work); }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .8rem; margin: 0; }
  dl div { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .8rem; }
  dt { opacity: .7; font-size: .85rem; } dd { margin: 0; font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
  #note { margin: 1rem 0; min-height: 1.5em; }
</style>
</head>
<body>
<header><h1 id="source">…</h1><span class="phase" id="phase">connecting</span></header>
<p id="note" role="status"></p>
<div id="unitsText"></div>
<div class="bar" id="bar" role="img" aria-label="units"><i class="live"></i><i class="indexing"></i><i class="loading"></i></div>
<dl>
  <div><dt>Rows copied</dt><dd id="rows"></dd></div>
  <div><dt>Lag</dt><dd id="lag"></dd></div>
  <div><dt>WAL kept for the slot</dt><dd id="slot"></dd></div>
  <div><dt>Done in</dt><dd id="eta"></dd></div>
  <div><dt>Applied position</dt><dd id="lsn"></dd></div>
  <div><dt>Daemon</dt><dd id="daemon"></dd></div>
</dl>
<script>
  const set = (id, text) => { document.getElementById(id).textContent = text; };
  const scale = (n, base, units) => { let i = 0; while (n >= base && i < units.length - 1) { n /= base; i++; } return (i > 0 && n < 10 ? n.toFixed(1) : Math.round(n)) + units[i]; };
  const bytes = (n) => scale(n, 1024, [' B', ' kB', ' MB', ' GB', ' TB']);
  const count = (n) => scale(n, 1000, ['', 'k', 'M', 'G']);
  const time = (s) => s < 10 ? s.toFixed(1) + ' s' : s < 100 ? Math.round(s) + ' s' : s < 5400 ? Math.round(s / 60) + ' min' : (s / 3600).toFixed(1) + ' h';
  const word = (t) => /^[A-Za-z0-9_.]+$/.test(t) ? t : "'" + t.replaceAll("'", "'\\\\''") + "'";
  function show(s) {
    const u = s.units;
    document.title = s.source + ' ' + s.phase;
    set('source', s.source);
    set('phase', s.phase + (s.paused ? ', paused' : ''));
    document.getElementById('phase').className = 'phase' + (['ready', 'switched', 'done'].includes(s.phase) ? ' good' : ['failed', 'aborted'].includes(s.phase) ? ' bad' : '');
    set('note', s.failure ? s.failure.message + (s.failure.hint ? ' (' + s.failure.hint + ')' : '') : s.waiting ? 'Waiting: ' + s.waiting : s.phase === 'ready' ? 'The cutover may be issued: partitioner cutover ' + word(s.source) : '');
    set('unitsText', u.live + ' of ' + u.total + ' units live, ' + u.indexing + ' indexing, ' + u.loading + ' loading, ' + u.pending + ' pending');
    for (const state of ['live', 'indexing', 'loading']) document.querySelector('.bar .' + state).style.width = (u.total ? u[state] * 100 / u.total : 0) + '%';
    set('rows', count(s.rows.copied) + (s.rows.estimated > s.rows.copied ? ' of ' + count(s.rows.estimated) : ''));
    set('lag', s.lag ? bytes(s.lag.bytes) + ' / ' + time(s.lag.seconds) : 'none');
    set('slot', s.slot ? bytes(s.slot.retainedBytes) + (s.slot.walStatus && s.slot.walStatus !== 'reserved' ? ' (' + s.slot.walStatus + ')' : '') : 'none');
    set('eta', s.eta === null ? 'unknown' : time(s.eta));
    set('lsn', s.appliedLsn || 'none');
    set('daemon', s.daemon ? 'pid ' + s.daemon.pid + ' on ' + s.daemon.host : 'none');
  }
  const events = new EventSource('api/events');
  events.addEventListener('status', (event) => show(JSON.parse(event.data)));
  events.addEventListener('problem', (event) => set('note', JSON.parse(event.data).message));
  events.onerror = () => set('note', 'The daemon does not answer.');
</script>
</body>
</html>
`;
