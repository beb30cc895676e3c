// The two standard protocols from the caller's side, octet by octet, so that the test does not rest on the library that
// serves them: grpc.health.v1 and grpc.reflection.v1.

import { type ChannelCredentials, Client } from '@grpc/grpc-js'

const STATES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const same = (octets: Buffer): Buffer => octets

export class HealthClient {
  private readonly client: Client

  constructor(address: string, credentials: ChannelCredentials) {
    this.client = new Client(address, credentials, { 'grpc.ssl_target_name_override': 'localhost' })
  }

  check(): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest('/grpc.health.v1.Health/Check', same, same, Buffer.alloc(0), (error, octets) => {
        if (error) reject(error)
        // HealthCheckResponse: field 1, varint.
        else resolve(STATES[octets?.[1] ?? 0])
      })
    })
  }

  /** ServerReflectionRequest with list_services (field 7), answered by list_services_response. */
  services(): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const call = this.client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        same,
        same,
      )
      call.on('error', reject)
      call.on('data', (octets: Buffer) => {
        resolve(octets.toString('latin1').match(/sluice\.v1alpha1\.\w+/g) ?? [])
        call.end()
      })
      call.write(Buffer.from([0x3a, 0x01, 0x2a]))
    })
  }

  close(): void {
    this.client.close()
  }
}
