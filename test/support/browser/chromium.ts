// A real browser for tests: Debian's chromium, headless, in a network namespace of its own that leads nowhere, driven over its
// debugging pipe (Chrome DevTools Protocol: JSON messages that end in a NUL, on descriptors 3 and 4). Everything that it writes lies
// in one folder, which goes with it.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'

// biome-ignore lint/suspicious/noExplicitAny: the protocol has hundreds of shapes, and the tests look at what they need.
type Answer = any

type Message = {
  readonly id?: number
  readonly method?: string
  readonly params?: Answer
  readonly result?: Answer
  readonly error?: { readonly message: string }
  readonly sessionId?: string
}

/** What a page is looked at with. */
export interface Look {
  readonly width: number
  readonly height: number
  readonly scheme: 'light' | 'dark'
  readonly media?: 'screen' | 'print'
}

export class Browser {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #waiting = new Map<number, { resolve(result: Answer): void; reject(error: Error): void }>()
  readonly #tabs = new Map<string, (message: Message) => void>()
  #last = 0
  #stderr = ''

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'sluice-browser-'))
    const flags = [
      '--headless=new',
      '--no-sandbox', // the user is root, and the page is ours
      '--disable-gpu',
      '--hide-scrollbars',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-extensions',
      '--disable-sync',
      '--disable-dev-shm-usage',
      '--no-zygote',
      '--force-color-profile=srgb',
      `--user-data-dir=${this.#folder}/profile`,
      '--remote-debugging-pipe',
    ]
    this.#process = spawn('unshare', ['-n', 'chromium', ...flags, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, HOME: this.#folder, TMPDIR: this.#folder, XDG_RUNTIME_DIR: this.#folder },
      detached: true, // a group of its own, so that all of its processes can be ended
    })
    const [, , stderr, , output] = this.#process.stdio
    ;(stderr as Readable).on('data', (chunk) => {
      this.#stderr = `${this.#stderr}${chunk}`.slice(-4_000)
    })
    let rest = Buffer.alloc(0)
    ;(output as Readable).on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let end = rest.indexOf(0); end >= 0; end = rest.indexOf(0)) {
        this.#take(JSON.parse(rest.subarray(0, end).toString()))
        rest = rest.subarray(end + 1)
      }
    })
    const gone = (why: string) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`chromium: ${why}\n${this.#stderr}`))
      this.#waiting.clear()
    }
    this.#process.on('error', (error) => gone(error.message))
    this.#process.on('exit', (code, signal) => gone(`ended with ${code ?? signal}`))
    // A pipe that nobody reads any more says so in the exit above.
    ;(this.#process.stdio[3] as Writable).on('error', () => undefined)
  }

  #take(message: Message): void {
    if (message.id === undefined) {
      this.#tabs.get(message.sessionId ?? '')?.(message)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.error === undefined) waiting?.resolve(message.result)
    else waiting?.reject(new Error(message.error.message))
  }

  call(method: string, params: object = {}, sessionId?: string): Promise<Answer> {
    const id = ++this.#last
    ;(this.#process.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  /** A tab with that file, loaded. Its `events` are what it complained of and what it asked for. */
  async open(path: string, look: Look, scripts = true): Promise<Tab> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true })
    const tab = new Tab(this, sessionId, targetId)
    this.#tabs.set(sessionId, (message) => tab.take(message))
    for (const domain of ['Page', 'Runtime', 'Log', 'Network'])
      await this.call(`${domain}.enable`, domain === 'Page' ? { enableFileChooserOpenedEvent: false } : {}, sessionId)
    if (!scripts) await this.call('Emulation.setScriptExecutionDisabled', { value: true }, sessionId)
    if (scripts) await tab.look(look)
    await tab.load(pathToFileURL(path).href)
    return tab
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    if (this.#process.exitCode === null && this.#process.pid !== undefined) {
      this.call('Browser.close').catch(() => undefined) // it may be gone before it answers
      const kill = setTimeout(() => this.#process.kill('SIGKILL'), 10_000)
      await ended
      clearTimeout(kill)
    }
    try {
      process.kill(-(this.#process.pid ?? 0), 'SIGKILL')
    } catch {
      // Nobody of its group is left.
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  }
}

export class Tab {
  /** Messages on the console, exceptions, violations of the policy and dialogs. */
  readonly complaints: string[] = []
  readonly requests: string[] = []
  #loaded: (() => void) | null = null

  constructor(
    readonly browser: Browser,
    readonly session: string,
    readonly target: string,
  ) {}

  take({ method, params }: Message): void {
    if (method === 'Page.loadEventFired') this.#loaded?.()
    if (method === 'Network.requestWillBeSent') this.requests.push(params.request.url)
    if (method === 'Runtime.consoleAPICalled')
      this.complaints.push(`console.${params.type}: ${JSON.stringify(params.args)}`)
    if (method === 'Runtime.exceptionThrown')
      this.complaints.push(
        `exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`,
      )
    if (method === 'Log.entryAdded') this.complaints.push(`log: ${params.entry.text}`)
    if (method === 'Page.javascriptDialogOpening') {
      this.complaints.push(`dialog: ${params.message}`)
      void this.call('Page.handleJavaScriptDialog', { accept: true })
    }
  }

  call(method: string, params: object = {}): Promise<Answer> {
    return this.browser.call(method, params, this.session)
  }

  async load(url: string): Promise<void> {
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve
    })
    await this.call('Page.navigate', { url })
    await loaded
  }

  async look({ width, height, scheme, media = 'screen' }: Look): Promise<void> {
    await this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false })
    await this.call('Emulation.setEmulatedMedia', {
      media,
      features: [{ name: 'prefers-color-scheme', value: scheme }],
    })
    // Two frames later every observer of sizes and schemes has been told.
    await this.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))')
  }

  /** The value of an expression in the page; a promise is waited for. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value as T
  }

  async key(key: string): Promise<void> {
    for (const type of ['keyDown', 'keyUp']) await this.call('Input.dispatchKeyEvent', { type, key, code: key })
  }

  async pointer(x: number, y: number, click = false): Promise<void> {
    await this.call('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y })
    if (click)
      for (const type of ['mousePressed', 'mouseReleased'])
        await this.call('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 })
  }

  /** The whole page as a PNG. */
  async picture(path: string): Promise<void> {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true })
    writeFileSync(path, Buffer.from(data, 'base64'))
  }

  async pdf(): Promise<Buffer> {
    const { data } = await this.call('Page.printToPDF', { printBackground: true })
    return Buffer.from(data, 'base64')
  }

  async close(): Promise<void> {
    await this.browser.call('Target.closeTarget', { targetId: this.target })
  }
}
