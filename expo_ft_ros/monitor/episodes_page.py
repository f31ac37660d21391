# SPDX-License-Identifier: Apache-2.0
"""The page of the recorded episodes: a table to choose from, and the player of the chosen one."""

from __future__ import annotations

from expo_ft_ros.monitor import markup

PAGE = "/episodes"
"""Path of the page, which is shown in a frame of a tab."""

SOCKET = "/episodes/socket"
"""Path of its websocket. To the page, any of: {"rows": as `episode_list.row`, "reading": how many
files are still to be read, "reply": HTML, "playing": whether, "episode": null or that which is
played {"file", "title", "summary", "words": names of what may be said of it, "note", "steps",
"period" [s], "timeline", "legend": HTML}, "frame": what there was at a step {"step", "driver",
"images": addresses, "q": HTML}}. From it: {"open": file, "" for none}, {"step": number}, {"play":
whether}, {"word": name, "file": of which}."""

_HEIGHT = "calc(100vh - 6.5em)"  # what the tabs leave
FRAME = (
    f'<iframe name="episodes" src="{PAGE}" title="recorded episodes" '
    f'style="display:block;width:100%;height:{_HEIGHT};min-height:20em;border:0"></iframe>'
)
"""HTML that shows the page."""

_STYLE = """
html, body { margin: 0; height: 100%; background: transparent; color: #e3e6ea;
  color-scheme: dark; font: 13px/1.4 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
body { display: flex; flex-direction: column; box-sizing: border-box; padding: 0 .75em; }
button, select { background: #40464e; color: #fff; border: 0; border-radius: 3px; height: 28px;
  padding: 0 .7em; font: inherit; cursor: pointer; touch-action: manipulation; }
button:hover, select:hover { filter: brightness(1.15); }
button:disabled { opacity: .4; cursor: default; } button.now { outline: 2px solid #fff; }
#list { display: flex; flex-direction: column; flex: 1; min-height: 0; }
[hidden] { display: none !important; }
body.whole { height: auto; } .whole #table { max-height: 20em; }
.row { display: flex; gap: 6px; align-items: center; margin: .4em 0; flex-wrap: wrap; }
.dim, small { color: #8b939d; } small { font-size: 11px; }
#filters { flex-wrap: nowrap; } #filters select { flex: 1; min-width: 0; padding: 0 .2em; }
/* Not like those that end the episode that runs. */
#success, #failure { background: transparent; border: 1px solid #4cc38a; } #failure {
  border-color: #f0a030; }
#play { width: 3.2em; }
#older { margin-left: auto; }
#where { font-variant-numeric: tabular-nums; }
#images { display: flex; gap: 4px; } #images img { flex: 1; min-width: 0; max-height: 150px;
  object-fit: contain; background: #000; }
#timeline { position: relative; margin: .5em 0 0 1.5em; cursor: pointer; touch-action: none; }
#timeline svg { display: block; width: 100%; height: 92px; }
#timeline u { position: absolute; right: 100%; margin-right: .4em; line-height: 0; font-size: 11px;
  text-decoration: none; color: #8b939d; }
#cursor { position: absolute; top: 0; bottom: 0; width: 2px; margin-left: -1px; background: #fff;
  pointer-events: none; }
#times { display: flex; justify-content: space-between; white-space: nowrap;
  margin: 0 0 .2em 1.5em; font-size: 11px; }
#legend { display: flex; gap: .8em; }
#legend i { display: inline-block; width: .7em; height: .7em; margin-right: .35em; }
#q .xf { margin: .3em 0 0; font-size: 13px; } #q .xf-q > div { height: 60px; }
#reply .xf { margin: .2em 0; }
#table { flex: 1; min-height: 9em; overflow: auto; }
table { border-collapse: collapse; width: 100%; }
th { position: sticky; top: 0; background: #242424; text-align: left; font-weight: 500;
  color: #8b939d; }
th, td { padding: .32em .4em; } th:nth-child(n+4), td:nth-child(n+4) { text-align: right; }
td { border-top: 1px solid #333; font-variant-numeric: tabular-nums; }
tbody tr { cursor: pointer; } tbody tr:hover td { background: #ffffff10; }
tbody tr.chosen td { background: #406ebe55; }
tr:focus-visible, #timeline:focus-visible { outline: 2px solid #5b9dff; outline-offset: -2px; }
td i { display: inline-block; width: .62em; height: .62em; border-radius: 50%; margin-right: .5em;
  background: var(--c); }
td.human { background-image: linear-gradient(#ff8c0066 0 0); background-repeat: no-repeat;
  background-size: var(--w) 3px; background-position: 0 100%; }
@media (max-width: 22em) { small { display: block; } }
"""

# On a narrow screen, and while an episode is shown, the frame is as high as what is in it: one
# thing scrolls, not two.
_SCRIPT = """
const $ = (id) => document.getElementById(id);
const COLOURS = {success: "#4cc38a", failure: "#f0a030"};
let socket, rows = [], episode = null, step = 0, playing = false, reading = 0;
const say = (what) => socket && socket.readyState === 1 && socket.send(JSON.stringify(what));
const element = (name, text, title) =>
  Object.assign(document.createElement(name), {textContent: text ?? "", title: title ?? ""});

const FILTERS = {
  stage: (row, wanted) => row.stage === wanted,
  outcome: (row, wanted) => wanted === "relabelled" ? row.relabelled : row.outcome === wanted,
  help: (row, wanted) => (row.human > 0) === (wanted === "helped"),
};
function options(select, names) {
  const had = [...select.options].slice(1).map((each) => each.value);
  if (had.join() === names.join()) return;
  const chosen = select.value;
  while (select.options.length > 1) select.remove(1);
  for (const name of names) select.add(new Option(name, name));
  select.value = names.includes(chosen) ? chosen : "";
}
const shown = () => rows.filter((row) => Object.entries(FILTERS).every(
  ([id, holds]) => !$(id).value || holds(row, $(id).value)));
function list() {
  options($("stage"), [...new Set(rows.map((row) => row.stage).filter(Boolean))].sort());
  const outcomes = rows.map((row) => row.outcome);
  if (rows.some((row) => row.relabelled)) outcomes.push("relabelled");
  options($("outcome"), [...new Set(outcomes)].sort());
  const found = shown();
  $("rows").replaceChildren(...found.map(line));
  const left = reading ? `, ${reading} more to read` : "";
  $("count").textContent = rows.length || reading
    ? (found.length < rows.length ? `${found.length} of ${rows.length}` : `${rows.length}`) + left
    : "nothing recorded yet";
}
function line(row) {
  const tr = element("tr", "", row.cause);
  const outcome = element("td"), dot = element("i"), human = element("td");
  dot.style.setProperty("--c", COLOURS[row.outcome] ?? "#777");
  outcome.append(dot, row.outcome);
  if (row.relabelled) outcome.append(" ", element("small", "relabelled"));
  human.className = "human";
  human.textContent = row.human ? `${Math.max(1, Math.round(100 * row.human))}%` : "0%";
  human.style.setProperty("--w", `${100 * row.human}%`);
  tr.append(element("td", row.number), element("td", row.stage), outcome, human,
    element("td", row.seconds.toFixed(1)));
  tr.className = episode && row.file === episode.file ? "chosen" : "";
  tr.tabIndex = 0;
  tr.dataset.file = row.file;
  tr.onclick = () => say({open: row.file});
  tr.onkeydown = (event) => { if (event.key === "Enter") tr.click(); };
  return tr;
}

function show() {
  $("player").hidden = !episode;
  $("list").hidden = !!episode;
  if (!episode) return;
  $("newer").disabled = !beside(-1);
  $("older").disabled = !beside(1);
  $("title").textContent = `episode ${episode.title}`;
  $("summary").textContent = episode.summary;
  $("picture").innerHTML = episode.timeline;
  $("legend").innerHTML = episode.legend;
  $("end").textContent = `${(episode.steps * episode.period).toFixed(1)} s`;
  $("timeline").ariaValueMax = episode.steps;
  for (const id of ["success", "failure", "discard", "restore"])
    $(id).hidden = !episode.words.includes(id);
  const outcome = (rows.find((row) => row.file === episode.file) ?? {}).outcome;
  for (const id of ["success", "failure"]) $(id).classList.toggle("now", outcome === id);
  $("relabel").hidden = $("success").hidden;
  $("note").textContent = episode.note;
}
function beside(by) {
  const found = shown(), place = found.findIndex((row) => row.file === episode.file);
  return place < 0 ? undefined : found[place + by];
}
function draw(frame) {
  $("q").innerHTML = frame ? frame.q : "";
  if (!frame || !episode) return;
  step = frame.step;
  const pictures = [...$("images").children];
  if (pictures.length !== frame.images.length) {
    pictures.splice(0, pictures.length, ...frame.images.map(() => new Image()));
    $("images").replaceChildren(...pictures);
  }
  frame.images.forEach((image, place) => (pictures[place].src = image));
  point();
  $("where").textContent = `${(step * episode.period).toFixed(1)} s · step ${step}/${episode.steps}`
    + ` · ${frame.driver}`;
}
function point() {
  $("cursor").style.left = `${100 * step / episode.steps}%`;
  $("timeline").ariaValueNow = step;
}
function fit() {
  const frame = window.frameElement;
  if (!frame) return;
  const whole = !!episode || parent.innerWidth < 600;
  document.body.classList.toggle("whole", whole);
  frame.style.height = whole ? `${document.body.offsetHeight + 8}px` : "HEIGHT";
}
function go(to) {
  step = Math.min(episode.steps, Math.max(0, Math.round(to)));
  point();
  say({step});
}

$("play").onclick = () => say({play: !playing});
$("back").onclick = () => say({open: ""});
$("newer").onclick = () => say({open: beside(-1).file});
$("older").onclick = () => say({open: beside(1).file});
for (const id of ["success", "failure", "discard", "restore"])
  $(id).onclick = () => say({word: id, file: episode.file});
for (const id of Object.keys(FILTERS)) $(id).onchange = list;
const at = (event) => {
  const box = $("timeline").getBoundingClientRect();
  go(episode.steps * (event.clientX - box.left) / box.width);
};
$("timeline").onpointerdown = (event) => {
  $("timeline").setPointerCapture(event.pointerId);
  at(event);
};
$("timeline").onpointermove = (event) => { if (event.buttons) at(event); };
document.onkeydown = (event) => {
  if (!episode || ["SELECT", "BUTTON"].includes(event.target.tagName)) return;
  const by = {ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9}[event.key];
  if (by) go(step + by);
  else if (event.key === " ") $("play").click();
  else return;
  event.preventDefault();
};

function connect() {
  const mine = socket = new WebSocket(location.origin.replace("http", "ws") + "SOCKET");
  // An empty message makes the server list the files at once.
  mine.onopen = () => say({});
  mine.onmessage = (event) => {
    const told = JSON.parse(event.data);
    ({rows = rows, reading = reading, playing = playing} = told);
    if ("episode" in told) {
      if (told.episode && !episode && window.frameElement) window.frameElement.scrollIntoView();
      episode = told.episode;
    }
    if ("episode" in told || "rows" in told) show();
    if ("episode" in told || "rows" in told || "reading" in told) list();
    if ("frame" in told) draw(told.frame);
    $("play").textContent = playing ? "❚❚" : "▶";
    $("play").title = $("play").ariaLabel = playing ? "Pause" : "Play";
    fit();
    if ("reply" in told) {
      $("reply").innerHTML = told.reply;
      fit();
      if (told.reply) $("reply").scrollIntoView({block: "nearest"});
    }
  };
  mine.onclose = () => setTimeout(connect, 1000);
}
connect();
""".replace("SOCKET", SOCKET).replace("HEIGHT", _HEIGHT)

_BODY = """
<section id="player" hidden>
<div class="row"><button id="back" title="All episodes">
list</button><b id="title"></b>
<button id="older" title="The one before it in the list">older</button>
<button id="newer" title="The one after it in the list">newer</button></div>
<div id="summary" class="dim"></div>
<div id="images"></div>
<div id="timeline" role="slider" tabindex="0" aria-label="step" aria-valuemin="0">
<u style="top:4px">1</u><u style="top:41px">Q</u><u style="top:77px">0</u>
<div id="picture"></div><div id="cursor"></div></div>
<div id="times" class="dim"><span>0 s</span><span id="legend"></span><span id="end"></span></div>
<div class="row"><button id="play">▶</button><span id="where"></span></div>
<div class="row"><span id="relabel">Relabel as</span><button id="success">success</button>
<button id="failure">failure</button>
<button id="discard" title="Nothing is learned from it; it can be restored">Discard</button>
<button id="restore" title="Takes the discard back">Restore</button>
<span id="note" class="dim"></span></div>
</section>
<div id="reply"></div>
<div id="q"></div>
<section id="list">
<div class="row" id="filters"><select id="stage" aria-label="stage">
<option value="">any stage</option></select>
<select id="outcome" aria-label="outcome"><option value="">any outcome</option></select>
<select id="help" aria-label="help"><option value="">any help</option>
<option value="helped">helped</option><option value="alone">not helped</option></select></div>
<div id="count" class="dim"></div>
<div id="table"><table><thead><tr><th>no.</th><th>stage</th><th>outcome</th>
<th title="share of the steps that a human drove">human</th>
<th title="length in seconds">s</th></tr></thead><tbody id="rows"></tbody></table></div></section>
"""


def page() -> bytes:
    """HTML."""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>recorded episodes</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{markup.STYLE}<style>{_STYLE}</style></head>
<body>{_BODY}<script>{_SCRIPT}</script></body></html>
""".encode()
