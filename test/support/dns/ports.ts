// A port that nobody holds, neither for UDP nor for TCP: servers that are told their port by configuration need one.

import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer } from 'node:net'

export async function freePort(address: string): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, address, resolve))
    const { port } = server.address() as AddressInfo
    const free = await bindable(port, address)
    await new Promise((resolve) => server.close(resolve))
    if (free) return port
  }
}

const bindable = (port: number, address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.once('error', () => socket.close(() => resolve(false)))
    socket.bind(port, address, () => socket.close(() => resolve(true)))
  })
