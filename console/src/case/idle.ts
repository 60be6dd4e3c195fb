// For how long nobody has touched this page.
const EVENTS = ['pointerdown', 'pointermove', 'keydown', 'wheel'];

let touchedMs = Date.now();
let listens = false;

/** Milliseconds since the page was last touched, counted from the first question on. */
export function idleMs(): number {
  if (!listens) {
    listens = true;
    for (const event of EVENTS) {
      document.addEventListener(event, () => {
        touchedMs = Date.now();
      }, { passive: true, capture: true });
    }
    touchedMs = Date.now();
  }
  return Date.now() - touchedMs;
}
