// One thing at a time: jobs run in the order they were given, and one that fails does not stop the next. A libnftables
// context must never be used by two threads, so each has a lane of its own.

export class Lane {
  private last: Promise<unknown> = Promise.resolve()

  run<T>(job: () => Promise<T>): Promise<T> {
    const done = this.last.then(job, job)
    this.last = done.catch(() => undefined) // the caller has the failure; the lane only needs to know that it is over
    return done
  }

  /** Resolves when everything given so far has ended. */
  async idle(): Promise<void> {
    await this.last
  }
}
