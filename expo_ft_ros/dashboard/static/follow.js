// SPDX-License-Identifier: Apache-2.0
// Shows what a run says as it says it, and has the page changed once the run stands otherwise.
const lines = document.getElementById("lines"), standing = document.getElementById("status");
let state = {};

function changed(told) {
  const before = JSON.stringify(state), first = !("running" in state);
  for (const name of ["running", "stopping"]) {
    if (name in told) state[name] = told[name];
  }
  if (first || JSON.stringify(state) === before) return;
  // What was answered to a button is over.
  const here = new URL(main.dataset.page, location.href);
  here.searchParams.delete("told");
  history.replaceState(null, "", here);
  main.dataset.page = here.pathname + here.search;
  refresh();
}

function connect() {
  const socket = new WebSocket(location.origin.replace("http", "ws") + lines.dataset.socket);
  let fresh = true;
  socket.onmessage = (event) => {
    const told = JSON.parse(event.data);
    if ("status" in told) standing.textContent = told.status;
    changed(told);
    const low = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 20;
    if (fresh) lines.textContent = "";
    fresh = false;
    if (told.lines.length) lines.append(told.lines.join("\n") + "\n");
    if (lines.textContent.length > 400000) lines.textContent = lines.textContent.slice(-200000);
    if (low) lines.scrollTop = lines.scrollHeight;
  };
  socket.onclose = () => setTimeout(connect, 2000);
}
connect();
