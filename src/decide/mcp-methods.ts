// The methods that a client of the Model Context Protocol sends, over all versions that the schema knows (2025-03-26 to
// 2026-07-28; specification, "Basic" and "Server features"). `allow_all_known_mcp_methods` means these: a method that is not
// here is not known, and needs a rule of its own.

const METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'server/discover',
  'subscriptions/listen',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/tasks/status',
])

export const isKnownMethod = (method: string): boolean => METHODS.has(method)
