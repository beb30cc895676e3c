// Numbers for people, the same on every machine: three or four significant digits, thousands apart, and no locale of the reader's
// or the writer's.

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ',')

/** 14.12, 6,722, 0.00123, 1,234,000. */
export function amount(value: number, digits = 3): string {
  if (value === 0) return '0'
  if (Math.abs(value) >= 999.5) {
    const rounded = Number(value.toPrecision(Math.max(4, digits)))
    return `${rounded < 0 ? '-' : ''}${grouped(Math.abs(Math.round(rounded)).toString())}`
  }
  if (Math.abs(value) < 1e-6) return value.toExponential(digits - 1)
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(places, 9))
}

/** 1, 100,000: a number of things. */
export const whole = (value: number): string => grouped(String(Math.round(value)))

/** Shares of one: three places, so that 0.97 and 0.973 can be told apart. */
export const ratio = (value: number): string => (value >= 10 ? amount(value) : value.toFixed(3))

/** 1000000 as 1M: for the ticks of an axis. */
export function tick(value: number): string {
  for (const [size, name] of [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ] as const)
    if (value >= size && value % (size / 10) === 0) return `${value / size}${name}`
  return value === Math.round(value) ? whole(value) : amount(value)
}

/** The first letter of a title. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

export const percent = (share: number): string => `${amount(share * 100)} %`

export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
