// A subscription to what may not be there yet, or may fail: it begins when that is there, and again after a failure. Whoever listens keeps
// one for the life of a process, while what is listened to comes with a plan.

/** Looked at again as often; until then the kernel's buffer keeps what is told, and counts what it had no room for. */
const AGAIN_MS = 1_000

/** undefined: it is not there yet. `failed` is called once when what began ends by an error. */
export type Begin = (failed: () => void) => (() => Promise<void>) | undefined

/** Throws what the first `begin` throws; what a later one throws is a failure like another. */
export function standing(begin: Begin, againMs = AGAIN_MS): () => Promise<void> {
  let stop: (() => Promise<void>) | undefined
  let timer: NodeJS.Timeout | undefined
  let over = false
  const again = (): void => {
    stop = undefined
    if (over) return
    clearTimeout(timer)
    timer = setTimeout(() => {
      try {
        look()
      } catch {
        again()
      }
    }, againMs)
    timer.unref()
  }
  const look = (): void => {
    stop = begin(again)
    if (!stop) again()
  }
  look()
  return async () => {
    over = true
    clearTimeout(timer)
    await stop?.()
  }
}
