/* One poll per tab on the page's revision; everything that is live listens to its event. */
import { get } from "./http.js";
import { setPill } from "./pill.js";

const FAST_MS = 2000;
const SLOWER_MS = [4000, 8000, 15000];
const LIVELY_MS = 60_000;
const DEADLINE_MS = 10_000;
const RECONNECTING_MS = 5000;
const MAX_BACKOFF_MS = 60_000;

class Poller {
  constructor(element) {
    this.element = element;
    this.url = element.dataset.revisionUrl;
    this.parts = {};
    this.isActive = element.dataset.active === "true";
    this.livelyUntil = Date.now() + LIVELY_MS;
    this.idleRounds = 0;
    this.failures = 0;
    this.isAsking = false;
    this.isBehind = false;
  }

  start() {
    for (const kind of ["pointerdown", "keydown", "focus"]) {
      addEventListener(kind, () => this.stir(), { passive: true });
    }
    document.addEventListener("visibilitychange", () => this.wake());
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => setPill("paused"));
    document.addEventListener("stir", () => this.wake());
    document.addEventListener("unanswered", () => {
      this.isBehind = true;
    });
    this.ask();
  }

  stir() {
    const wasIdle = this.idleRounds > 0;
    this.livelyUntil = Date.now() + LIVELY_MS;
    this.idleRounds = 0;
    if (wasIdle && !this.failures) this.schedule(FAST_MS);
  }

  wake() {
    if (document.hidden) {
      clearTimeout(this.timer);
      setPill("paused");
      return;
    }
    this.stir();
    this.ask();
  }

  schedule(ms) {
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), ms);
  }

  async ask() {
    clearTimeout(this.timer);
    if (this.isAsking || document.hidden) return;
    this.isAsking = true;
    const control = new AbortController();
    const deadline = setTimeout(() => control.abort(), DEADLINE_MS);
    const notice = setTimeout(() => this.noteSlow(), RECONNECTING_MS);
    try {
      const { body, changed } = await get(this.url, { signal: control.signal });
      this.isBehind ||= this.failures > 0;
      this.failures = 0;
      this.take(body, changed);
    } catch (error) {
      this.fail(error);
    } finally {
      clearTimeout(deadline);
      clearTimeout(notice);
      this.isAsking = false;
      this.schedule(this.nextDelay());
    }
  }

  noteSlow() {
    setPill("reconnecting");
  }

  take(body, changed) {
    this.retryAfter = 0;
    const { done = 0, of = 0 } = body.fitting ?? {};
    const isFitting = done < of;
    this.isActive = isFitting || this.element.dataset.active === "true";
    if (changed) this.idleRounds = 0;
    else if (!this.isActive && Date.now() > this.livelyUntil) this.idleRounds += 1;
    setPill(isFitting ? "fitting" : "live");
    const moved = this.findMoved(body);
    this.parts = body.parts ?? {};
    const isNews = body.rev !== this.element.dataset.rev;
    this.element.dataset.rev = body.rev;
    if (!isNews && !this.isBehind) return;
    const detail = { ...body, moved: this.isBehind ? null : moved };
    this.isBehind = false;
    document.dispatchEvent(new CustomEvent("revision", { detail }));
  }

  /** Names of the parts that moved since the last answer; null = unknown, so everything. */
  findMoved(body) {
    if (!body.parts || Object.keys(this.parts).length === 0) return null;
    const names = Object.keys(body.parts);
    return names.filter((name) => body.parts[name] !== this.parts[name]);
  }

  fail(error) {
    this.failures += 1;
    this.retryAfter = (error.retryAfter ?? 0) * 1000;
    if (error.status === 401) setPill("error");
    else setPill(navigator.onLine ? "reconnecting" : "paused");
  }

  nextDelay() {
    if (this.failures) {
      const doubled = Math.min(MAX_BACKOFF_MS, FAST_MS * 2 ** (this.failures - 1));
      return Math.max(this.retryAfter, doubled * (0.8 + 0.4 * Math.random()));
    }
    const isLively = this.isActive || Date.now() < this.livelyUntil;
    if (isLively) return FAST_MS;
    return SLOWER_MS[Math.min(this.idleRounds, SLOWER_MS.length) - 1] ?? FAST_MS;
  }
}

/** Say whether an element that names its parts in data-parts is concerned. */
export function isConcerned(element, moved) {
  const wanted = (element.dataset.parts ?? "").split(" ").filter(Boolean);
  if (moved === null || wanted.length === 0) return true;
  return moved.some((name) => wanted.includes(name.split(":")[0]));
}

export function mount(root) {
  const element = root.querySelector("[data-revision-url]");
  if (element) new Poller(element).start();
}
