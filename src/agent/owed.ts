// What could not be done and is tried again later: each time after twice the pause, so many times, and no more of them than there is
// room for. It knows no clock and does nothing itself.

const FIRST_MS = 1_000
const LONGEST_MS = 60_000
const TRIES = 10
const MOST = 1_024

interface Debt<T> {
  readonly what: T
  readonly tries: number
  readonly fromMs: number
}

export class Owed<T> {
  private readonly debts = new Map<string, Debt<T>>()

  /** Owed anew, or once more: after the last try it is given up. */
  add(key: string, what: T, nowMs: number): void {
    const tries = (this.debts.get(key)?.tries ?? 0) + 1
    this.debts.delete(key)
    if (tries > TRIES) return
    this.debts.set(key, { what, tries, fromMs: nowMs + Math.min(LONGEST_MS, FIRST_MS * 2 ** (tries - 1)) })
    if (this.debts.size > MOST)
      for (const oldest of this.debts.keys()) {
        this.debts.delete(oldest)
        break
      }
  }

  done(key: string): void {
    this.debts.delete(key)
  }

  due(nowMs: number): readonly { readonly key: string; readonly what: T }[] {
    return [...this.debts].filter(([, { fromMs }]) => fromMs <= nowMs).map(([key, { what }]) => ({ key, what }))
  }
}
