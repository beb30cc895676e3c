// Workspace ids: SPIFFE-style URIs (SPIFFE-ID specification section 2), and the patterns of `applies_to`.

const MAX_LENGTH = 2_048

/** One id, and no pattern. */
export const isWorkspaceId = (text: string): boolean => !text.endsWith('/*') && isWorkspacePattern(text)

/** `spiffe://trust-domain/path`, or with a last segment `*` for every id below that path. */
export function isWorkspacePattern(text: string): boolean {
  if (text.length > MAX_LENGTH) return false
  const match = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)(\/\*)?$/.exec(text)
  if (!match || (match[2] === '' && match[3] === undefined)) return false
  return !(match[2] ?? '').split('/').some((segment) => segment === '.' || segment === '..')
}
