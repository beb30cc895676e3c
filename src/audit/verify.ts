// Reads a journal from end to end and says what does not hold: a line that was changed, taken out, put in or moved, a segment
// or a seal that is missing or wrong, an end that was cut off. Streams in constant memory; changes nothing.
//
// Without a key anybody who may write the files can compute a new chain: what lies before the last seal is held by the
// signature, what comes after it by the mark, if the caller has one. The report says how far each of them reaches.

import { type ChainPoint, following, type Link, readLink } from './chain.js'
import { hashOctets } from './file.js'
import { textOf } from './lines.js'
import { readSeal, type Seal, unverifiedSeal } from './seal.js'
import { isEmpty, isThere, listSegments, readSealFile, type Segment, segmentPath } from './segment.js'
import { type Part, partsOf } from './walk.js'

export type FindingKind =
  | 'edited'
  | 'unreadable'
  | 'torn'
  | 'events-missing'
  | 'out-of-order'
  | 'predecessor-differs'
  | 'another-chain'
  | 'segment-missing'
  | 'seal-missing'
  | 'seal-invalid'
  | 'seal-differs'
  | 'end-missing'
  | 'mark-differs'

export interface Finding {
  readonly kind: FindingKind
  readonly file: string
  /** From 1; 0 when it is about the file as a whole. */
  readonly line: number
  /** What the line says of itself, or the number that was expected; 0 when neither is known. */
  readonly sequence: number
  readonly say: string
}

export interface VerifyTerms {
  /** The payload of a seal whose signature holds; undefined for any other. Absent: signatures are not checked. */
  readonly openSeal?: (token: string) => Promise<Uint8Array | undefined>
  /** How far the journal had come, from somewhere else than the journal. */
  readonly mark?: ChainPoint
  /** The files are what a sink got that members are kept back from: an event that says so need not have its fingerprint. */
  readonly redacted?: boolean
}

export interface Verified {
  readonly events: number
  readonly segments: number
  /** Segments with a seal that holds. */
  readonly sealed: number
  readonly sealsChecked: boolean
  readonly firstSequence: number
  readonly lastSequence: number
  /** The last event that a seal with a good signature covers. */
  readonly sealedThrough: number
  /** Events that say of themselves that members were kept back: they follow one another, and what they say is held by nothing. */
  readonly redacted: number
  /** Nothing is wrong. A torn end alone is a crash, and is told without counting. */
  readonly intact: boolean
  /** In the order in which they were met; the first hundred. */
  readonly findings: readonly Finding[]
  readonly furtherFindings: number
}

const MAX_FINDINGS = 100

/** Fails with the system's error when a file cannot be read. */
export async function verifyJournal(path: string, terms: VerifyTerms = {}): Promise<Verified> {
  const reader = new Reader(path, terms)
  for await (const part of partsOf(path)) await reader.part(part)
  return reader.end()
}

/** What was read of one file. */
interface Extent {
  readonly path: string
  lines: number
  octets: number
  first: Link | undefined
  last: Link | undefined
}

class Reader {
  private readonly findings: Finding[] = []
  private further = 0
  private before: ChainPoint | undefined
  /** The last line was a finding: the next one may be a part of the same disturbance. */
  private disturbed = false
  private events = 0
  private redacted = 0
  private segments = 0
  private sealed = 0
  private sealedThrough = 0
  private firstSequence = 0
  private retiredThrough = 0
  private expected = 1
  private readonly gaps = new Set<number>()
  private torn = false

  constructor(
    private readonly path: string,
    private readonly terms: VerifyTerms,
  ) {}

  private find(kind: FindingKind, file: string, line: number, sequence: number, say: string): void {
    if (kind === 'torn') this.torn = true
    if (this.findings.length < MAX_FINDINGS) this.findings.push({ kind, file, line, sequence, say })
    else this.further++
  }

  async part({ path, segment, batches }: Part): Promise<void> {
    if (segment) this.missingBefore(segment)
    const extent: Extent = { path, lines: 0, octets: 0, first: undefined, last: undefined }
    for await (const { lines, torn } of batches)
      for (const text of lines) {
        extent.lines++
        extent.octets += text.length + (torn ? 0 : 1)
        if (torn) this.tornLine(extent, segment)
        else this.line(text, extent)
      }
    if (segment) await this.close(segment, extent)
  }

  private missingBefore({ number }: Segment): void {
    for (; this.expected < number; this.expected++) this.gaps.add(this.expected)
    this.expected = number + 1
    this.segments++
  }

  private tornLine({ path, lines }: Extent, segment: Segment | undefined): void {
    const next = (this.before?.sequence ?? 0) + 1
    if (segment) this.find('unreadable', path, lines, next, 'the segment does not end in a whole line')
    else
      this.find(
        'torn',
        path,
        lines,
        next,
        'half a line at the end, as a crash leaves it; the next opening cuts and tells it',
      )
  }

  private line(text: string, extent: Extent): void {
    const { path, lines } = extent
    const link = readLink(text, hashOctets)
    if (!link) {
      this.find('unreadable', path, lines, (this.before?.sequence ?? 0) + 1, 'this is no line of the journal')
      this.disturbed = true
      return
    }
    this.events++
    if (this.firstSequence === 0) this.firstSequence = link.sequence
    extent.first ??= link
    const said = this.judge(link, text, path, lines)
    if (link.intact && text.includes(RETIRED)) this.retired(text)
    this.disturbed = said
    extent.last = link
    this.before = link
    this.compareMark(link, path, lines)
  }

  /** Whether something was found about this line. */
  private judge(link: Link, text: string, file: string, line: number): boolean {
    const { sequence } = link
    const kept = !link.intact && text.includes(REDACTED)
    if (!link.intact && !(kept && this.terms.redacted)) {
      const more = kept ? '; it says that members were kept back from a sink (--redacted)' : ''
      this.find('edited', file, line, sequence, `the line is not the one that its fingerprint was made of${more}`)
      return true
    }
    if (kept) this.redacted++
    const { before } = this
    // The oldest line that there is: what was before it is the business of missing segments.
    if (before === undefined && (link.before !== undefined || sequence !== 1) && this.gaps.size > 0) return false
    const how = following(before, link)
    if (how === 'follows' || this.disturbed) return false
    const wanted = (before?.sequence ?? 0) + 1
    const after = before ? `event ${before.sequence}` : 'the beginning'
    const say = {
      'events-missing': `${sequence - wanted} event(s) are missing between ${after} and event ${sequence}`,
      'out-of-order': `event ${sequence} stands after event ${before?.sequence ?? 0}: put in, repeated or moved`,
      'predecessor-differs': `event ${sequence} was written after another event ${wanted - 1} than the one before it: one of the two was replaced`,
      'another-chain': 'the line is of another journal',
    }[how]
    this.find(how, file, line, sequence, say)
    return true
  }

  private retired(text: string): void {
    const event = JSON.parse(textOf(text)) as { status_code?: unknown; unmapped?: { to_segment?: unknown } }
    const through = event.status_code === 'journal.retired' ? Number(event.unmapped?.to_segment) : 0
    if (Number.isSafeInteger(through)) this.retiredThrough = Math.max(this.retiredThrough, through)
  }

  private compareMark(link: Link, file: string, line: number): void {
    const { mark } = this.terms
    if (mark?.sequence !== link.sequence || mark.fingerprint === link.fingerprint) return
    this.find(
      'mark-differs',
      file,
      line,
      link.sequence,
      'the event is not the one that the mark beside the journal names',
    )
  }

  /** The seal of a closed segment against what was read of it. */
  private async close({ number, sealPath, sealed }: Segment, extent: Extent): Promise<void> {
    const last = extent.last?.sequence ?? 0
    if (!sealed) {
      // Between closing and sealing a crash may come; the next opening seals it, if nothing was written since.
      const crash = listSegments(this.path).at(-1)?.number === number && isEmpty(this.path)
      if (!crash) this.find('seal-missing', sealPath, 0, last, `segment ${number} has no seal`)
      return
    }
    const token = readSealFile(sealPath)
    const payload = await this.terms.openSeal?.(token)
    const seal = this.terms.openSeal ? payload && readSeal(payload) : unverifiedSeal(token)
    if (!seal) {
      this.find(
        'seal-invalid',
        sealPath,
        0,
        last,
        `the seal of segment ${number} has no good signature of a trusted key`,
      )
      return
    }
    const wrong = differences(seal, number, extent)
    for (const say of wrong) this.find('seal-differs', extent.path, extent.lines, last, say)
    if (wrong.length > 0) return
    this.sealed++
    if (this.terms.openSeal) this.sealedThrough = seal.lastSequence
  }

  end(): Verified {
    // A seal without its segment: the segment was taken away, unless a crash came between the two steps of retention.
    for (const { number, path } of listSegments(this.path)) if (!isThere(path)) this.gaps.add(number)
    for (const number of this.gaps)
      if (number > this.retiredThrough)
        this.find(
          'segment-missing',
          segmentPath(this.path, number),
          0,
          0,
          `segment ${number} is missing, and was not told to be given up`,
        )
    const { mark, openSeal } = this.terms
    const lastSequence = this.before?.sequence ?? 0
    if (mark && lastSequence < mark.sequence) {
      const say = `the journal ends at event ${lastSequence}, and had come to event ${mark.sequence}`
      this.find('end-missing', this.path, 0, mark.sequence, say)
    }
    return {
      events: this.events,
      segments: this.segments,
      sealed: this.sealed,
      sealsChecked: openSeal !== undefined,
      firstSequence: this.firstSequence,
      lastSequence,
      sealedThrough: this.sealedThrough,
      redacted: this.redacted,
      intact: this.findings.length === (this.torn ? 1 : 0),
      findings: this.findings,
      furtherFindings: this.further,
    }
  }
}

const RETIRED = '"status_code":"journal.retired"'
/** As sinks/select.ts marks an event. */
const REDACTED = '"redacted":["'

/** Sentences about what the seal says and the segment does not. */
function differences(seal: Seal, number: number, { lines, octets, first, last }: Extent): readonly string[] {
  const seen = {
    segment: number,
    events: lines,
    octets,
    chain: last?.chain ?? '',
    firstSequence: first?.sequence ?? 0,
    lastSequence: last?.sequence ?? 0,
    fingerprint: last?.fingerprint ?? '',
    follows: first?.before?.fingerprint ?? null,
  } as const
  return (Object.keys(seen) as (keyof typeof seen)[])
    .filter((name) => seal[name] !== seen[name])
    .slice(0, 1)
    .map((name) => `the seal says ${name} ${String(seal[name])}, and the segment has ${String(seen[name])}`)
}
