// Keeps an open page up to date.  Without it every screen and every form works, and is as old as its last load.
//
// One tab of a browser holds the stream for all, since a browser opens six connections to a host at most: the one that
// has the lock.  It watches what all tabs ask for, and hands each event on.

const { root, session } = document.body.dataset;
const channel = new BroadcastChannel(`outbound-${session}`); // tabs of another sign-in are others' business
const lateAfterMs = 4000;

let wanted = new Set(); // what the tabs watch; kept by the tab that holds the stream
let gathered = null; // the same, while it is asked for anew
let source = null;
let heardAt = Date.now();

const own = () => [...document.querySelectorAll("[data-watch]")].map((one) => one.dataset.watch);
const watchedHere = own();

function put(id, html) {
  const place = document.getElementById(`live-${id}`);
  if (!place || place.innerHTML === html) return;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus();
}

// Somebody is typing here, has chosen a file, or has opened what is folded: it is not taken away from them.
function isInUse(place) {
  const fields = [...place.querySelectorAll("input, textarea")];
  return (
    place.querySelector("input:focus, select:focus, textarea:focus, details[open]") !== null ||
    fields.some((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked)
  );
}

// What a version, or nobody, announced is fetched at once, and again after a while at the earliest.
const againAfterMs = 2000;
let isStale = false;
let staleAt = 0; // when what is shown became old, 0 where it is not
let fetchedAt = 0;

function refresh() {
  if (!isStale || document.hidden || Date.now() - fetchedAt < againAfterMs || isInUse(document.querySelector("main"))) return;
  isStale = false;
  fetchedAt = Date.now();
  fetchMain().catch(() => (isStale = true)); // the network, or the process, is away
}

async function fetchMain() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (answer.redirected) return location.reload();
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (page.body.dataset.session !== session) return location.reload(); // somebody else has signed in
  const fresh = page.querySelector("main");
  const main = document.querySelector("main");
  if (isInUse(main)) throw new Error("in use");
  const focused = document.activeElement?.id;
  main.replaceWith(fresh);
  staleAt = isStale ? staleAt : 0;
  if (focused) document.getElementById(focused)?.focus();
}

function take(kind, text) {
  if (kind === "ended") return location.reload();
  if (kind !== "away") heardAt = Date.now();
  if (kind !== "parts") return;
  for (const [id, value] of Object.entries(JSON.parse(text))) {
    const versioned = document.querySelector(`[data-watch="${CSS.escape(id)}"]`);
    if (!versioned) put(id, value);
    else if (versioned.dataset.version !== value) {
      versioned.dataset.version = value;
      isStale = true;
      staleAt ||= Date.now();
    }
  }
  refresh();
}

function open() {
  source?.close();
  const query = new URLSearchParams([["session", session], ...[...wanted].map((one) => ["watch", one])]);
  source = new EventSource(`${root}/live?${query}`);
  for (const kind of ["parts", "tick", "away", "ended"]) {
    source.addEventListener(kind, (event) => {
      take(kind, event.data);
      channel.postMessage({ kind, text: event.data });
    });
  }
  source.onerror = () => {
    if (source.readyState !== EventSource.CLOSED) return;
    fetchMain().catch(() => {}); // which leads to the sign-in where the session has ended
    setTimeout(open, 3000);
  };
}

function want(topics) {
  const before = wanted.size;
  topics.forEach((one) => gathered?.add(one));
  topics.forEach((one) => wanted.add(one));
  if (!source || wanted.size > before) open();
}

// What only tabs that were closed have watched is watched no more: all are asked, and have 2 s to answer.
function forgetClosedTabs() {
  gathered = new Set(watchedHere);
  channel.postMessage({ kind: "who" });
  setTimeout(() => {
    const isLess = gathered.size < wanted.size;
    wanted = gathered;
    gathered = null;
    if (isLess) open();
  }, 2000);
}

channel.onmessage = ({ data }) => {
  if (data.kind === "want") source && want(data.topics);
  else if (data.kind === "who") channel.postMessage({ kind: "want", topics: watchedHere });
  else take(data.kind, data.text);
};

function showAge() {
  const place = document.getElementById("age");
  if (!place) return;
  const seconds = (Date.now() - (staleAt ? Math.min(staleAt, heardAt) : heardAt)) / 1000;
  const isLate = seconds * 1000 > lateAfterMs;
  const words = isLate ? place.dataset.late : place.dataset.fresh;
  place.classList.toggle("old", isLate);
  const text = words.replace("{n}", isLate ? Math.round(seconds) : seconds.toFixed(1));
  if (place.textContent !== text) place.textContent = text;
}

if (watchedHere.length) {
  channel.postMessage({ kind: "want", topics: watchedHere });
  navigator.locks.request(`outbound-stream-${session}`, () => {
    want(watchedHere);
    channel.postMessage({ kind: "who" });
    setInterval(forgetClosedTabs, 60_000);
    return new Promise(() => {});
  });
}

setInterval(() => {
  showAge();
  // Nobody announces how far an import has come: such a page is always as old as its last load.
  isStale ||= document.querySelector("[data-refresh]") !== null;
  refresh();
}, 500);

document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) setTimeout(() => (button.disabled = true));
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});
