// A websocket to this page's server that is opened anew when it ends. What is done:
//   heard(data, first): with each message, the first of a connection being what was last known; where
//     it answers false the message was no sign of life; opened(): when it can be spoken into;
//   lost(): when it has ended, or without a sign of life for `quiet` ms;
//   wanted(): whether it is to be opened anew; binary: whether messages are ArrayBuffers.
// One that is quiet stays open beside the next one until that is heard: what must not be lost can
// still be said into both.
function connection(path, {heard, opened, lost, wanted = () => true, quiet = 0, binary = false}) {
  let speaks = null, tried = null, silence, again;
  const alive = () => [speaks, tried].filter((each) => each && each.readyState === 1);
  function wait() {
    clearTimeout(silence);
    if (quiet) silence = setTimeout(() => { lost?.(); open(); }, quiet);
  }
  function listen(mine, data) {
    const first = mine === tried;
    if (first) {
      const before = speaks;
      [speaks, tried] = [mine, null];
      before?.close();
    }
    if (mine === speaks && heard(data, first) !== false) wait();
  }
  function end(mine) {
    if (mine !== speaks && mine !== tried) return;
    if (mine === tried) tried = null; else speaks = null;
    lost?.();
    if (tried) return;
    clearTimeout(silence);
    clearTimeout(again);
    if (wanted()) again = setTimeout(open, 1000);
  }
  function open() {
    const before = tried, mine = new WebSocket(location.origin.replace("http", "ws") + path);
    clearTimeout(again);
    tried = mine;
    before?.close();
    if (binary) mine.binaryType = "arraybuffer";
    mine.onopen = () => { if (mine === tried) opened?.(); };
    mine.onmessage = (event) => listen(mine, event.data);
    mine.onclose = () => end(mine);
    wait();
  }
  open();
  return {
    open() { if (!speaks && !tried) open(); },
    // Whether it could be said into the one that was heard last.
    say(what) {
      const can = speaks?.readyState === 1;
      if (can) speaks.send(JSON.stringify(what));
      return can;
    },
    // Whether it could be said into any.
    urge(what) {
      const found = alive();
      for (const each of found) each.send(JSON.stringify(what));
      return found.length > 0;
    },
    isOpen: () => alive().length > 0,
    close() {
      const both = [speaks, tried];
      speaks = tried = null;
      clearTimeout(silence);
      clearTimeout(again);
      for (const each of both) each?.close();
    },
  };
}
