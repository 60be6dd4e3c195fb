// What was given before: the latest revision of the alerts that changed last, so many and no more.

interface Known {
  /** Latest revision given as a record. */
  kept: bigint;
  /** Latest revision given at all, as a volatile delivery too. */
  told: bigint;
}

/** Revisions by alert. What has not changed for longest is forgotten first. */
export class Memory {
  // A map keeps the order of insertion: an alert that changes is taken out and put in again, behind all others.
  readonly #alerts = new Map<string, Known>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#alerts.size;
  }

  clear(): void {
    this.#alerts.clear();
  }

  /**
   * Notes a state that comes (revisions count from 1); whether it, or a later one, was given before. A record that was
   * given as a volatile delivery only is news: now it is on disk.
   */
  repeats(alert: string, revision: bigint, volatile: boolean): boolean {
    const known = this.#alerts.get(alert) ?? { kept: 0n, told: 0n };
    if ((volatile ? known.told : known.kept) >= revision) return true;
    if (known.told < revision) known.told = revision;
    if (!volatile && known.kept < revision) known.kept = revision;
    this.#alerts.delete(alert);
    this.#alerts.set(alert, known);
    if (this.#alerts.size > this.#capacity) {
      const oldest = this.#alerts.keys().next();
      if (!oldest.done) this.#alerts.delete(oldest.value);
    }
    return false;
  }
}
