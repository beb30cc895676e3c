// Members of a list that share a key, in the order in which the keys first appear: Map.groupBy, which Node 20 does not have.

export function alike<T>(list: Iterable<T>, key: (one: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>()
  for (const one of list) {
    const group = groups.get(key(one))
    if (group === undefined) groups.set(key(one), [one])
    else group.push(one)
  }
  return [...groups.values()]
}
