// Waiting for something that others wait for, too: who gives up leaves, and the thing goes on.

/** Settles as `promise` does, or rejects with the signal's reason, whichever is first. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error)
    const done = (): void => signal.removeEventListener('abort', aborted)
    if (signal.aborted) aborted()
    else signal.addEventListener('abort', aborted)
    promise.then(resolve, reject).then(done, done)
  })
}

/** As orAborted, and rejects with `late` when `timeoutMs` are over first. */
export async function orLate<T>(promise: Promise<T>, timeoutMs: number, signal: AbortSignal, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), timeoutMs)
  })
  try {
    return await orAborted(Promise.race([promise, over]), signal)
  } finally {
    clearTimeout(timer)
  }
}
