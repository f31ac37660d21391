const $ = (id) => document.getElementById(id);
const COLOURS = {success: "#4cc38a", failure: "#f0a030"};
let rows = [], episode = null, step = 0, playing = false, reading = 0;
const say = (what) => server.urge(what);
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

function heard(data) {
  const told = JSON.parse(data);
  document.body.classList.remove("lost");
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
}
// What is shown is as it was: nothing can be asked for until somebody answers again.
function drop() {
  document.body.classList.add("lost");
  fit();
}
// An empty message makes the server list the files at once.
const server = connection(SOCKET, {heard, opened: () => say({}), lost: drop});
