// What htmx does not do by itself: say when the page is no longer live, say aloud what changed,
// and leave the server alone while nobody looks.
(() => {
  "use strict";
  const LOST_MS = 10_000; // without a feed, before the banner says so
  const STALE_MS = 25_000; // without an answer, before what is shown is greyed
  const SPEAK_MS = 10_000; // at least, between two spoken summaries

  const element = (id) => document.getElementById(id);
  const feed = element("feed");
  const board = element("board");
  const banner = element("banner");
  const spoken = element("spoken");
  let lostSince = performance.now();
  let pulledAt = performance.now();
  let pulledClock = new Date();
  let spokenAt = performance.now();
  let failing = false;

  const connected = () => { lostSince = null; };
  const lost = () => { lostSince ??= performance.now(); };
  feed.addEventListener("htmx:after:sse:connection", connected);
  feed.addEventListener("htmx:after:sse:message", connected);
  for (const name of ["htmx:sse:error", "htmx:sse:close", "htmx:before:sse:connection"]) {
    feed.addEventListener(name, lost);
  }

  board.addEventListener("htmx:before:request", (event) => {
    if (document.hidden && event.target === board) event.preventDefault();
  });
  board.addEventListener("htmx:after:request", (event) => {
    failing = event.detail.ctx.response.status !== 200;
    if (failing) return;
    pulledAt = performance.now();
    pulledClock = new Date();
  });
  board.addEventListener("htmx:error", (event) => { failing ||= event.target === board; });
  // An error's page is no board: keep what was last true, and grey it.
  board.addEventListener("htmx:response:error", (event) => { event.detail.ctx.swap = "none"; });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (lostSince !== null) lostSince = performance.now();
    htmx.trigger(board, "every");
  });

  const show = (text, stale) => {
    board.classList.toggle("stale", stale);
    banner.hidden = !text;
    if (banner.textContent !== text) banner.textContent = text;
  };

  const speak = (now) => {
    const summary = element("facts")?.dataset.summary ?? "";
    if (now - spokenAt < SPEAK_MS || spoken.textContent === summary) return;
    spoken.textContent = summary;
    spokenAt = now;
  };

  setInterval(() => {
    if (document.hidden) return;
    const now = performance.now();
    const clock = pulledClock.toLocaleTimeString();
    if (failing || now - pulledAt > STALE_MS) {
      show(`The server does not answer. What you see is from ${clock}.`, true);
    } else if (lostSince !== null && now - lostSince > LOST_MS) {
      show(`The live feed is lost. This page asks every 10 s instead; last answer at ${clock}.`, false);
    } else {
      show("", false);
    }
    speak(now);
  }, 1000);
})();
