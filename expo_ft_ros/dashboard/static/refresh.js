// SPDX-License-Identifier: Apache-2.0
// Asks for the page again and changes in it what has changed, so that focus, selection and scroll
// position stay. Parts are told apart by their ids; the content of data-keep is another script's.
const main = document.querySelector("main"), lost = document.getElementById("lost");
let again;

function update(old, wanted) {
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    // A part that the operator has unfolded stays so.
    if (!wanted.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  if (!old.hasAttribute("data-keep")) updateChildren(old, wanted);
}

function updateChildren(old, wanted) {
  const ids = new Set([...wanted.children].map((each) => each.id).filter(Boolean));
  const gone = (node) => node.id && !ids.has(node.id);
  let place = old.firstChild;
  const next = () => {
    const passed = place;
    place = place.nextSibling;
    return passed;
  };
  for (const each of [...wanted.childNodes]) {
    while (place && gone(place)) next().remove();
    const known = each.id && [...old.children].find((child) => child.id === each.id);
    if (known) {
      // What stands before it and isn't wanted goes; moving an element would cost it the focus.
      while (place !== known && place && (gone(place) || !place.id)) next().remove();
      if (place === known) next();
      else old.insertBefore(known, place);
      update(known, each);
    } else if (place && !each.id && !place.id && place.nodeName === each.nodeName) {
      const same = next();
      if (same.nodeType === Node.ELEMENT_NODE) update(same, each);
      else if (same.data !== each.data) same.data = each.data;
    } else {
      old.insertBefore(document.importNode(each, true), place);
    }
  }
  while (place) next().remove();
}

async function refresh() {
  clearTimeout(again);
  try {
    const answer = await fetch(main.dataset.page || location.href, { signal: AbortSignal.timeout(30000) });
    if (answer.status >= 500) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const wanted = page.querySelector("main");
    if (!wanted || page.title !== document.title) {
      location.replace(answer.url);
      return;
    }
    const focused = document.activeElement;
    update(main, wanted);
    if (focused.isConnected && document.activeElement !== focused) {
      focused.focus({ preventScroll: true });
    }
    if (lost.textContent) lost.textContent = "";
  } catch {
    const words = "The dashboard doesn't answer: what stands here may be old.";
    if (lost.textContent !== words) lost.textContent = words;
  }
  plan();
}

function plan() {
  clearTimeout(again);
  if (main.dataset.refresh && !document.hidden) {
    again = setTimeout(refresh, 1000 * main.dataset.refresh);
  }
}

document.addEventListener("visibilitychange", () => {
  if (main.dataset.refresh && !document.hidden) refresh();
});
plan();
