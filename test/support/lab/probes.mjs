// Client probes of a station. Each gives what a client would see, in words that tell the ways of failing apart:
//   connected / answered   the other end was reached
//   reset                  refused at once by a TCP reset (or a port-unreachable)
//   prohibited             refused at once by an ICMP error
//   timeout                silence
//   failed                 anything else, with the system's code
// They are real sockets: what is measured is the kernel's view, not this file's.

import { createSocket } from 'node:dgram'
import { promises as dns } from 'node:dns'
import { get } from 'node:http'
import { connect } from 'node:net'

const OUTCOMES = {
  ECONNREFUSED: 'reset',
  ECONNRESET: 'reset',
  EHOSTUNREACH: 'prohibited',
  ENETUNREACH: 'prohibited',
  EACCES: 'prohibited',
  ETIMEDOUT: 'timeout',
}
const outcomeOf = (error) => OUTCOMES[error.code] ?? 'failed'
const nowMs = () => performance.timeOrigin + performance.now()

export const lookup = async ({ name }) =>
  (await dns.lookup(name, { all: true }).catch(() => [])).map((found) => found.address)

/** Connects; with `say`, also sends it and waits for the echo. */
export function tcp({ host, port, say, timeoutMs = 1000, localAddress, localPort }) {
  const started = nowMs()
  return new Promise((done) => {
    const socket = connect({ host, port, localAddress, localPort, autoSelectFamily: false })
    let local = 0
    let heard = ''
    const finish = (outcome, code) => {
      clearTimeout(timer)
      socket.removeAllListeners()
      // The verdict is in; what happens to the socket while it goes away belongs to nobody.
      socket.on('error', () => undefined)
      socket.destroy()
      done({ outcome, code, heard, localPort: local, tookMs: nowMs() - started })
    }
    const timer = setTimeout(() => finish('timeout'), timeoutMs)
    socket.on('error', (error) => finish(outcomeOf(error), error.code))
    socket.on('connect', () => {
      local = socket.localPort
      if (say === undefined) finish('connected')
      else socket.write(say)
    })
    socket.on('data', (data) => {
      heard += data
      if (heard.length >= say.length) finish(heard === say ? 'connected' : 'failed', 'other-echo')
    })
    socket.on('end', () => finish('failed', 'closed'))
  })
}

/** Sends a datagram on a connected socket (so that ICMP errors are heard) and waits for its echo. */
export function udp({ host, port, say = 'ping', timeoutMs = 700, localAddress, localPort }) {
  const started = nowMs()
  return new Promise((done) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const finish = (outcome, code) => {
      clearTimeout(timer)
      socket.removeAllListeners()
      // As for TCP: the verdict is in.
      socket.on('error', () => undefined)
      socket.close()
      done({ outcome, code, tookMs: nowMs() - started })
    }
    const timer = setTimeout(() => finish('timeout'), timeoutMs)
    socket.on('error', (error) => finish(outcomeOf(error), error.code))
    socket.on('message', (data) => finish(String(data) === say ? 'answered' : 'failed', 'other-echo'))
    socket.bind({ address: localAddress, port: localPort ?? 0 }, () =>
      socket.connect(port, host, (error) => {
        if (error) finish(outcomeOf(error), error.code)
        else socket.send(say)
      }),
    )
  })
}

export function httpGet({ host, port, path = '/', timeoutMs = 1500 }) {
  const started = nowMs()
  return new Promise((done) => {
    const finish = (outcome, more = {}) => done({ outcome, ...more, tookMs: nowMs() - started })
    const request = get({ host, port, path, agent: false, timeout: timeoutMs, autoSelectFamily: false }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () =>
        finish('answered', { status: response.statusCode, reached: response.headers['x-reached'], body }),
      )
    })
    request.on('timeout', () => {
      finish('timeout')
      request.destroy()
    })
    request.on('error', (error) => finish(outcomeOf(error), { code: error.code }))
  })
}

const running = new Map()
let lastDownload = 0

/** Starts a download that goes on until it is stopped or cut; resolves with its number when the first byte is here. */
export function download({ host, port, rate, timeoutMs = 3000, localAddress, localPort }) {
  return new Promise((done, failed) => {
    const socket = connect({ host, port, localAddress, localPort, autoSelectFamily: false })
    const state = { bytes: 0, lastByteMs: 0, state: 'open', code: undefined, endedMs: 0, localPort: 0, socket }
    const number = ++lastDownload
    const end = (how, code) => {
      clearTimeout(timer)
      if (state.state === 'open') Object.assign(state, { state: how, code, endedMs: nowMs() })
      if (!running.has(number)) failed(new Error(`download of ${host} port ${port} did not start: ${code ?? how}`))
    }
    const timer = setTimeout(() => {
      socket.destroy()
      end('closed', 'no byte in time')
    }, timeoutMs)
    socket.on('connect', () => {
      state.localPort = socket.localPort
      socket.write(`GET /bulk?rate=${rate} HTTP/1.0\r\n\r\n`)
    })
    socket.on('data', (data) => {
      state.bytes += data.length
      state.lastByteMs = nowMs()
      if (running.has(number)) return
      clearTimeout(timer)
      running.set(number, state)
      done({ number, localPort: state.localPort })
    })
    socket.on('error', (error) => end(outcomeOf(error), error.code))
    socket.on('close', () => end('closed'))
  })
}

/** What became of the downloads with these numbers, in their order. */
export const downloads = ({ numbers }) =>
  numbers.map((number) => {
    const { socket: _, ...seen } = running.get(number)
    return seen
  })

/** Sends an octet on a download's connection, as a client does that has something to say: a cut flow is answered by a reset. */
export const poke = ({ number }) => void running.get(number).socket.write('\n')

export function stopDownload({ numbers }) {
  for (const number of numbers) {
    const state = running.get(number)
    if (state?.state === 'open') state.state = 'stopped'
    state?.socket.destroy()
  }
}
