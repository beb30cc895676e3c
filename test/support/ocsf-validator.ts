// A strict validator for OCSF events against the trimmed schema that SLUICE_OCSF names (its README describes the walk).
// Takes any JSON value; gives every finding, errors and warnings, each with the rule's name and the attribute's path.
// Rule names are those of the official server's validator. Missing recommended attributes are not reported.

export interface Schema {
  readonly version: string
  readonly profiles: readonly string[]
  readonly types: Readonly<Record<string, TypeRow>>
  readonly enums: Readonly<Record<string, { values: Readonly<Record<string, string>>; deprecated?: readonly string[] }>>
  readonly common: Attributes
  readonly classes: Readonly<Record<string, Shape>>
  readonly objects: Readonly<Record<string, Shape>>
}
interface TypeRow {
  readonly base?: string
  readonly regex?: string
  readonly max_len?: number
  readonly range?: readonly [number, number]
  readonly values?: readonly unknown[]
}
interface Attribute {
  readonly type?: string
  readonly object?: string
  readonly array?: boolean
  readonly req?: 'required' | 'recommended'
  readonly profiles?: readonly string[]
  readonly enum?: string
  readonly sibling?: string
  readonly deprecated?: string
}
type Attributes = Readonly<Record<string, Attribute>>
interface Shape {
  readonly attributes: Attributes
  readonly constraints?: { readonly at_least_one?: readonly string[]; readonly just_one?: readonly string[] }
  readonly deprecated?: string
}

export interface Finding {
  readonly level: 'error' | 'warning'
  readonly code: string
  readonly path: string
}

const MAX_DEPTH = 32
const OTHER = '99'

type Plain = Readonly<Record<string, unknown>>
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Every finding about one event, in the order of the walk. An empty list means valid without warnings. */
export function validateOcsf(schema: Schema, event: unknown): Finding[] {
  const walk = new Walk(schema)
  walk.event(event)
  return walk.findings
}

class Walk {
  readonly findings: Finding[] = []
  private on: ReadonlySet<string> = new Set()

  constructor(private readonly schema: Schema) {}

  event(event: unknown): void {
    if (!isPlain(event)) {
      this.error('attribute_wrong_type', '')
      return
    }
    const uid = event.class_uid
    if (typeof uid !== 'number') {
      this.error('attribute_required_missing', 'class_uid')
      return
    }
    const shape = own(this.schema.classes, String(uid))
    if (!shape) {
      this.error('class_uid_unknown', 'class_uid')
      return
    }
    if (shape.deprecated !== undefined) this.warn('class_deprecated', 'class_uid')
    const metadata = isPlain(event.metadata) ? event.metadata : {}
    const profiles = Array.isArray(metadata.profiles) ? metadata.profiles.map(String) : []
    for (const [i, name] of profiles.entries())
      if (!this.schema.profiles.includes(name)) this.error('profile_unknown', `metadata.profiles[${i}]`)
    this.on = new Set(profiles)
    const attributes = { ...this.schema.common, ...shape.attributes }
    this.object(event, { ...shape, attributes }, '', 0)
    if (event.type_uid !== Number(uid) * 100 + Number(event.activity_id)) this.error('type_uid_incorrect', 'type_uid')
    this.version(metadata.version)
    this.observables(event.observables, attributes)
  }

  private error(code: string, path: string): void {
    this.findings.push({ level: 'error', code, path })
  }

  private warn(code: string, path: string): void {
    this.findings.push({ level: 'warning', code, path })
  }

  private object(value: Plain, shape: Shape, path: string, depth: number): void {
    if (depth > MAX_DEPTH) {
      this.error('depth_exceeded', path)
      return
    }
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
    const live = Object.entries(shape.attributes).filter(
      ([, definition]) => !definition.profiles || definition.profiles.some((name) => this.on.has(name)),
    )
    const names = new Set(live.map(([name]) => name))
    // An object type without attributes is the open-ended one.
    if (live.length > 0)
      for (const key of Object.keys(value)) if (!names.has(key)) this.error('attribute_unknown', at(key))
    for (const [name, definition] of live) {
      const given = own(value, name)
      if (given === undefined || given === null) {
        if (definition.req === 'required') this.error('attribute_required_missing', at(name))
        if (given === null) this.error('attribute_wrong_type', at(name))
      } else this.attribute(given, definition, value, at(name), at, depth)
    }
    this.constraints(value, shape, path)
  }

  private constraints(value: Plain, shape: Shape, path: string): void {
    const count = (names: readonly string[]): number => names.filter((name) => Object.hasOwn(value, name)).length
    const { at_least_one: some, just_one: one } = shape.constraints ?? {}
    if (some && count(some) < 1) this.error('constraint_failed', path)
    if (one && count(one) !== 1) this.error('constraint_failed', path)
  }

  private attribute(
    given: unknown,
    definition: Attribute,
    owner: Plain,
    path: string,
    at: (name: string) => string,
    depth: number,
  ): void {
    if (definition.deprecated !== undefined) this.warn('attribute_deprecated', path)
    if (definition.array && !Array.isArray(given)) {
      this.error('attribute_wrong_type', path)
      return
    }
    const list: readonly unknown[] = definition.array ? (given as unknown[]) : [given]
    for (const [i, item] of list.entries()) {
      const here = definition.array ? `${path}[${i}]` : path
      if (definition.object !== undefined) this.member(item, definition.object, here, depth)
      else if (definition.type !== undefined) this.primitive(item, definition.type, here)
      if (definition.enum !== undefined) this.choice(item, definition.enum, here, definition.array === true)
    }
    if (definition.enum === undefined || definition.sibling === undefined) return
    const caption = own(owner, definition.sibling)
    const values = this.schema.enums[definition.enum]?.values ?? {}
    if (definition.array) this.captions(list, caption, values, path, at(definition.sibling))
    else if (caption !== undefined) this.caption(String(given), caption, values, at(definition.sibling))
  }

  private member(item: unknown, object: string, path: string, depth: number): void {
    const shape = own(this.schema.objects, object)
    if (!isPlain(item) || !shape) {
      this.error('attribute_wrong_type', path)
      return
    }
    if (shape.deprecated !== undefined) this.warn('object_deprecated', path)
    this.object(item, shape, path, depth + 1)
  }

  private choice(item: unknown, id: string, path: string, array: boolean): void {
    const row = this.schema.enums[id]
    if (!row || own(row.values, String(item)) === undefined)
      this.error(array ? 'attribute_enum_array_value_unknown' : 'attribute_enum_value_unknown', path)
    if (row?.deprecated?.includes(String(item))) this.warn('attribute_enum_value_deprecated', path)
  }

  private caption(value: string, caption: unknown, values: Readonly<Record<string, string>>, path: string): void {
    if (value === OTHER) {
      if (caption === values[OTHER]) this.warn('attribute_enum_sibling_suspicious_other', path)
    } else if (caption !== own(values, value)) this.warn('attribute_enum_sibling_incorrect', path)
  }

  private captions(
    list: readonly unknown[],
    captions: unknown,
    values: Readonly<Record<string, string>>,
    path: string,
    sibling: string,
  ): void {
    if (captions === undefined) return
    if (!Array.isArray(captions) || captions.length !== list.length) {
      this.error('attribute_enum_array_sibling_missing', sibling)
      return
    }
    for (const [i, item] of list.entries())
      if (String(item) !== OTHER && captions[i] !== own(values, String(item)))
        this.error('attribute_enum_array_sibling_incorrect', `${path}[${i}]`)
  }

  private primitive(item: unknown, type: string, path: string): void {
    const chain: TypeRow[] = []
    let root = type
    for (
      let row = own(this.schema.types, type);
      row;
      row = row.base === undefined ? undefined : own(this.schema.types, row.base)
    ) {
      chain.push(row)
      root = row.base ?? root
    }
    if (!isPrimitive(root, item)) {
      this.error('attribute_wrong_type', path)
      return
    }
    for (const row of chain) {
      if (row.range && typeof item === 'number' && (item < row.range[0] || item > row.range[1]))
        this.error('attribute_value_exceeds_range', path)
      if (row.max_len !== undefined && typeof item === 'string' && Array.from(item).length > row.max_len)
        this.error('attribute_value_exceeds_max_len', path)
      if (row.values && !row.values.includes(item)) this.error('attribute_value_not_in_type_values', path)
      if (row.regex !== undefined && typeof item === 'string' && !new RegExp(row.regex).test(item))
        this.warn('attribute_value_regex_not_matched', path)
    }
  }

  private version(given: unknown): void {
    if (typeof given !== 'string' || given === this.schema.version) return
    const match = /^(\d+)\.(\d+)\.(\d+)(-.+)?$/.exec(given)
    if (!match) {
      this.error('version_invalid_format', 'metadata.version')
      return
    }
    const ours = this.schema.version.split(/[.-]/).slice(0, 3).map(Number)
    const theirs = match.slice(1, 4).map(Number)
    const order = theirs.map((part, i) => part - (ours[i] ?? 0)).find((difference) => difference !== 0) ?? 0
    if (match[4] !== undefined) this.error('version_incompatible_prerelease', 'metadata.version')
    else if (theirs[0] === 0) this.error('version_incompatible_initial_development', 'metadata.version')
    else if (order > 0) this.error('version_incompatible_later', 'metadata.version')
    else if (order < 0) this.warn('version_earlier', 'metadata.version')
  }

  private observables(given: unknown, attributes: Attributes): void {
    if (!Array.isArray(given)) return
    for (const [i, item] of given.entries()) {
      const name = isPlain(item) ? item.name : undefined
      if (typeof name === 'string' && !this.defined(name, attributes))
        this.error('observable_name_invalid_reference', `observables[${i}].name`)
    }
  }

  private defined(name: string, attributes: Attributes): boolean {
    let at: Attributes = attributes
    for (const part of name.split('.')) {
      const definition = own(at, part.replace(/\[\d*\]$/, ''))
      if (!definition) return false
      at = definition.object === undefined ? {} : (this.schema.objects[definition.object]?.attributes ?? {})
    }
    return true
  }
}

/** A member of its own, never one of the prototype: an event may have a key called `constructor`. */
const own = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined

function isPrimitive(type: string, item: unknown): boolean {
  switch (type) {
    case 'string_t':
      return typeof item === 'string'
    case 'integer_t':
    case 'long_t':
      return Number.isSafeInteger(item)
    case 'float_t':
      return typeof item === 'number' && Number.isFinite(item)
    case 'boolean_t':
      return typeof item === 'boolean'
    default:
      return type === 'json_t'
  }
}
