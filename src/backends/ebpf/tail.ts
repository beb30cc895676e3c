// What a commit leaves to be done beside traffic. Whoever needs it done waits for it; one that failed is done again by the first who
// waits, and only what fails then is heard: a moment without memory must not end the backend until the process is started anew.

export class Tail {
  private work: () => Promise<void> = () => Promise.resolve()
  private running: Promise<void> = Promise.resolve()

  /** Begins it. It may be done again, as often as it fails. */
  follow(work: () => Promise<void>): void {
    this.work = work
    this.begin()
  }

  /** Resolves when it is done. Rejects with what it failed of, when it did so once more; those who wait at the same time share that. */
  async over(): Promise<void> {
    const { running } = this
    await running.catch(() => {
      if (this.running === running) this.begin()
      return this.running
    })
  }

  private begin(): void {
    this.running = this.work()
    this.running.catch(() => undefined) // heard by whoever waits for it
  }
}
