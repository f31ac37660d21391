const QUIET = 2500, CALL_AGAIN = 10000;
const NO_CONNECTION = {tone: "bad", words: "NO CONNECTION", press: "",
  more: "the arm may be moving: stop the robot by its own means"};
const buttons = [...document.querySelectorAll("button")];
const frame = document.querySelector("iframe");
const title = document.title, hints = {}, bar = document.getElementById("headline");
const call = document.getElementById("call");
let beat = 0, episode = 0, stop = 0, idle = {}, over = false, lost = true, next = "";
let turn = "", stopped = false, calling, newest = null;
for (const button of buttons) hints[button.id] = [button.title, button.dataset.brief];

// What a browser may refuse: without it the buttons are there all the same.
function attempt(what) {
  try { return what(); } catch { return null; }
}
const audio = attempt(() => new AudioContext());
call.checked = attempt(() => localStorage.getItem("call")) !== "off";
// A browser notifies only of pages that came over https or from its own machine.
const notifies = () => window.isSecureContext && attempt(() => Notification.permission);
function allow() {
  const asked = attempt(() => audio.resume());
  if (asked?.then) asked.then(tellHow, () => {});
  if (call.checked && notifies() === "default")
    attempt(() => Notification.requestPermission().then(tellHow, () => {}));
  tellHow();
}
// A browser lets a page sound once somebody has clicked in it.
function tellHow() {
  const ways = [];
  if (audio) ways.push(audio.state === "running" ? "sound" : "sound, after a click here");
  if (notifies() === "granted") ways.push("notification");
  document.getElementById("how").textContent = ways.length
    ? `call me (${ways.join(", ")})` : "call me: this browser can't";
}
call.onchange = () => {
  attempt(() => localStorage.setItem("call", call.checked ? "on" : "off"));
  allow();
};
function sound() {
  if (!audio || audio.state !== "running") return;
  const tone = audio.createOscillator(), loudness = audio.createGain();
  loudness.gain.value = 0.15;
  tone.frequency.value = 880;
  tone.connect(loudness).connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.25);
}
// Again and again, while the operator is waited for.
function callOperator(words) {
  if (!call.checked) return;
  attempt(sound);
  if (document.hidden && notifies() === "granted") attempt(() => new Notification(words));
}
document.onpointerdown = allow;

function show() {
  document.body.classList.toggle("lost", lost);
  document.body.classList.toggle("over", over);
  for (const button of buttons) {
    const [hint, brief] = hints[button.id];
    // A stop that comes late harms nobody.
    const passes = button.id === "estop" ? server.isOpen() : !lost;
    const why = passes ? idle[button.id] : "no connection";
    button.disabled = !!why;
    button.title = why ? `Off: ${why}` : hint;
    button.dataset.brief = why || brief;
    button.ariaDescription = why || null;
    button.classList.toggle("next", button.id === next && !button.disabled);
  }
  document.getElementById("estop").classList.toggle("pressed", stopped && !lost);
}
function headline(told) {
  bar.className = told.tone;
  bar.querySelector("b").textContent = told.words;
  bar.querySelector("span").textContent = told.more;
  next = told.press;
  document.title = `${told.words} · ${title}`;
  const now = told.tone === "turn" ? told.more : "";
  if (now !== turn) {
    clearInterval(calling);
    if (now) {
      callOperator(`${told.words}: ${now}`);
      calling = setInterval(() => callOperator(`${told.words}: ${now}`), CALL_AGAIN);
    }
  }
  turn = now;
}
function press(button) {
  const what = {button: button.id, beat, episode, stop};
  document.getElementById("reply").textContent = `${button.textContent} ...`;
  if (button.id === "estop" ? server.urge(what) : server.say(what)) return;
  document.getElementById("reply").textContent = `${button.textContent}: not sent`;
}
for (const button of buttons) {
  // A finger that slides off has stopped the arm all the same.
  if (button.id === "estop") button.onpointerdown = () => button.disabled || press(button);
  button.onclick = (event) => button.id === "estop" && event.detail ? 0 : press(button);
}

function heard(data, first) {
  const told = JSON.parse(data), lives = "beat" in told && !first;
  for (const id of ["state", "reply", "alarm"])
    if (id in told) document.getElementById(id).innerHTML = told[id];
  ({beat = beat, episode = episode, stop = stop, idle = idle, over = over, stopped = stopped} = told);
  if ("motion" in told) document.getElementById("motion").textContent = told.motion;
  if (told.headline) newest = told.headline;
  if (lost && lives) {
    // Drawn before the scene is. viser looks for its server only while it has the focus.
    frame.onload = () => frame.contentWindow.focus();
    requestAnimationFrame(() => setTimeout(() => (frame.src = SCENE)));
  }
  lost = lost && !lives;
  if (!lost) headline(newest);
  show();
  look();
  return lives;
}
// What was said last may not hold any more: nobody knows whether the arm moves.
function drop() {
  lost = true;
  if (!over) headline(NO_CONNECTION);
  show();
}
// Nothing but a stop is said into a connection from which nothing is heard: it might be obeyed
// much later.
const server = connection(SOCKET, {heard, lost: drop, quiet: QUIET});

// Where there is room the scene's own panel shows them.
const pictures = [...document.querySelectorAll("#cameras img")];
const narrow = matchMedia("(max-width: 60em)");
let cameras = null;
function draw(data) {
  const picture = pictures[new Uint8Array(data, 0, 1)[0]], old = picture.src;
  picture.src = URL.createObjectURL(new Blob([data.slice(1)], {type: "image/jpeg"}));
  if (old) URL.revokeObjectURL(old);
}
function look() {
  if (!narrow.matches) cameras?.close();
  else if (cameras) cameras.open();
  else if (!over) cameras = connection(CAMERAS, {heard: draw, binary: true, wanted: () => !over});
}
narrow.onchange = look;
look();
tellHow();
