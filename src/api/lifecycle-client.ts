// The command line's way to the companion of this host: gRPC over its Unix socket. A refusal arrives as the fault that it was, with its
// code, reaction, remedy and causes, so that a command prints and exits the same as if it had done the work itself.

import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { sessionOf } from './convert-sessions.js'
import { apiFault } from './errors.js'
import { changeMessage, killMessage, profileOf } from './lifecycle-convert.js'
import {
  type LifecycleMethod,
  type LifecycleRequest,
  type LifecycleResponse,
  lifecycleDefinition,
} from './lifecycle-methods.js'
import type { ListedView, ListView, OutcomeView, SessionAnswer, StepView, StreamView } from './lifecycle-ports.js'
import { v1 } from './messages.js'
import type { SessionAsked, SessionView } from './ports.js'
import { fromStatus } from './status.js'

const DEADLINE_MS = 120_000
/** More than every step of one kill takes at most, with what it took over; a kill of many is as many, some at once. */
const KILL_MS = 240_000
/** A bake reads a whole image. */
const CHANGE_MS = 2 * 3_600_000

type ChangeMessage = LifecycleResponse<'Lifecycle/ChangeWorkspace'>
type StepMessage = NonNullable<ChangeMessage['step']>
type StreamMessage = LifecycleResponse<'Lifecycle/ListWorkspaces'>['streams'][number]

export class LifecycleClient {
  private readonly client: Client

  constructor(private readonly path: string) {
    this.client = new Client(`unix:${path}`, credentials.createInsecure())
  }

  /** Throws what the companion refused, API_LOST when nobody answers or the answer breaks off: what was begun goes on, or is taken up. */
  change(asked: Parameters<typeof changeMessage>[0], told: (step: StepView) => void): Promise<OutcomeView> {
    return this.streamed('Lifecycle/ChangeWorkspace', changeMessage(asked), CHANGE_MS, ({ step, outcome }) => {
      if (step) told(stepOf(step))
      return outcome ? outcomeOf(outcome) : undefined
    })
  }

  /** `told`: each step as it is done, by workspace; a companion of an earlier release tells none. Throws as `change` does. */
  kill(
    asked: Omit<Parameters<typeof killMessage>[0], 'tellSteps'>,
    told?: (workspace: string, step: StepView) => void,
  ): Promise<{ readonly report: Uint8Array; readonly receipt: string }> {
    // How many are meant is known to the companion alone, and asking it first would cost the fences a round trip.
    const withinMs = asked.target.kind === 'workspace' ? KILL_MS : CHANGE_MS
    const request = killMessage({ ...asked, tellSteps: told !== undefined })
    return this.streamed('Lifecycle/KillWorkspaces', request, withinMs, ({ report, receipt, step, workspace }) => {
      if (step) told?.(workspace, stepOf(step))
      return report.length > 0 ? { report, receipt } : undefined
    })
  }

  async list(): Promise<readonly ListedView[]> {
    return (await this.overview()).workspaces
  }

  async overview(): Promise<ListView> {
    const { workspaces, streams } = await this.unary('Lifecycle/ListWorkspaces', v1.ListWorkspacesRequest.create({}))
    // Fields that have their default are not members of what was decoded.
    const listed = workspaces.map(
      ({ workspace, profile, state, machine, incarnation, image, leaseGeneration, owed, doing }) => ({
        profile: profileOf(workspace ?? '', profile ?? {}),
        ...{ state: state ?? '', machine: machine ?? '', incarnation: incarnation ?? 0, image: image ?? '' },
        ...{ lease: Number(leaseGeneration ?? 0), owed: owed ?? [], doing: doing ?? '' },
      }),
    )
    return { workspaces: listed, streams: streams.map(streamOf) }
  }

  async console(workspace: string, maxBytes: number): Promise<Uint8Array> {
    const { output } = await this.unary('Lifecycle/ReadConsole', v1.ReadConsoleRequest.create({ workspace, maxBytes }))
    return output
  }

  async openSession(asked: SessionAsked): Promise<SessionAnswer> {
    const answer = await this.unary('Lifecycle/OpenBrokerSession', v1.OpenBrokerSessionRequest.create(asked))
    return answerOf(answer, answer.grants)
  }

  async closeSession(asked: Pick<SessionAsked, 'workspace' | 'sessionId'>): Promise<SessionAnswer> {
    return answerOf(await this.unary('Lifecycle/CloseBrokerSession', v1.CloseBrokerSessionRequest.create(asked)), [])
  }

  /** '' for all. */
  async sessions(workspace: string): Promise<readonly SessionView[]> {
    const request = v1.ListBrokerSessionsRequest.create({ workspace })
    return (await this.unary('Lifecycle/ListBrokerSessions', request)).sessions.map(sessionOf)
  }

  close(): void {
    this.client.close()
  }

  /** Resolves with what `take` makes of a message that is the answer; it gives undefined for those before. */
  private streamed<M extends LifecycleMethod, T>(
    name: M,
    request: LifecycleRequest<M>,
    withinMs: number,
    take: (message: LifecycleResponse<M>) => T | undefined,
  ): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = lifecycleDefinition(name)
    const deadline = Date.now() + withinMs
    const call = this.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, { deadline })
    return new Promise((resolve, reject) => {
      call.on('data', (message: LifecycleResponse<M>) => {
        const answer = take(message)
        if (answer !== undefined) resolve(answer)
      })
      call.on('error', (error: ServiceError) => {
        reject(this.faultOf(error))
      })
      call.on('end', () => {
        reject(apiFault('API_LOST', { path: this.path }))
      })
    })
  }

  private unary<M extends LifecycleMethod>(
    name: M,
    request: LifecycleRequest<M>,
    withinMs = DEADLINE_MS,
  ): Promise<LifecycleResponse<M>> {
    const { path, requestSerialize, responseDeserialize } = lifecycleDefinition(name)
    const deadline = Date.now() + withinMs
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline },
        (error, response) => {
          if (error) reject(this.faultOf(error))
          else if (response) resolve(response)
        },
      )
    })
  }

  private faultOf(error: ServiceError): Error {
    // Nobody here cancels a call: whoever answered has gone.
    const isGone = error.code === status.UNAVAILABLE || error.code === status.CANCELLED
    if (isGone && error.metadata.get('sluice-code').length === 0)
      return apiFault('API_LOST', { path: this.path }, { cause: error })
    return fromStatus(error) ?? error
  }
}

const answerOf = (
  {
    session,
    changed,
    elapsedMs,
  }: Pick<LifecycleResponse<'Lifecycle/CloseBrokerSession'>, 'session' | 'changed' | 'elapsedMs'>,
  grants: readonly string[],
): SessionAnswer => ({ session: sessionOf(session ?? {}), grants, changed, elapsedMs })

function outcomeOf({ state, steps, owed, elapsedMs }: NonNullable<ChangeMessage['outcome']>): OutcomeView {
  return { state: state ?? '', steps: (steps ?? []).map(stepOf), owed: owed ?? [], elapsedMs: elapsedMs ?? 0 }
}

function stepOf({ step, atMs, elapsedMs, outcome, why, what, receipt }: StepMessage): StepView {
  return {
    ...{ step: step ?? '', atMs: Number(atMs ?? 0), elapsedMs: elapsedMs ?? 0, outcome: outcome ?? '' },
    ...(why ? { why } : {}),
    ...(what ? { what } : {}),
    ...(receipt ? { receipt } : {}),
  }
}

function streamOf({ name, kind, standing, heardAtMs, taken, refused, error }: StreamMessage): StreamView {
  return {
    ...{ name: name ?? '', kind: kind ?? '', standing: standing ?? '', heardAtMs: Number(heardAtMs ?? 0) },
    ...{ taken: Number(taken ?? 0), refused: Number(refused ?? 0) },
    ...(error ? { error } : {}),
  }
}
