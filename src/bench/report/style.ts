// The style of the report: one sheet, two schemes, print. Colours are variables, so that a plot reads the same ones as the text.
// Every ink has at least 4.5:1 on its paper and every colour of a variant 3:1 (WCAG 2.2, 1.4.3 and 1.4.11); a test measures both
// in a browser. Nothing is wider than 380 pixels but tables, which scroll by themselves.

import type { Look } from './model.js'

interface Scheme {
  readonly paper: string
  readonly card: string
  readonly ink: string
  readonly quiet: string
  readonly rule: string
  readonly grid: string
  readonly accent: string
  readonly good: string
  readonly bad: string
  readonly warn: string
  readonly promise: string
  readonly looks: Readonly<Record<Look, string>>
}

const LIGHT: Scheme = {
  paper: '#ffffff',
  card: '#f5f6f8',
  ink: '#16191f',
  quiet: '#555d69',
  rule: '#d5d9e0',
  grid: '#e6e9ee',
  accent: '#1d4fb8',
  good: '#0b6b3a',
  bad: '#b3261e',
  warn: '#8a5300',
  promise: '#b3261e',
  looks: {
    nothing: '#4a5260',
    limit: '#7a8290',
    'limit-nft': '#7a8290',
    hand: '#b45309',
    ipset: '#a3277f',
    nft: '#2463d6',
    ebpf: '#0f7b62',
    emulated: '#84622e',
    card: '#6a3fb5',
    other: '#33373f',
  },
}

const DARK: Scheme = {
  paper: '#14171c',
  card: '#1d2128',
  ink: '#eceff4',
  quiet: '#a9b1bd',
  rule: '#363c47',
  grid: '#2a2f38',
  accent: '#8fb4ff',
  good: '#5fd69a',
  bad: '#ff8f86',
  warn: '#f2b45c',
  promise: '#ff8f86',
  looks: {
    nothing: '#c3cad4',
    limit: '#8b94a2',
    'limit-nft': '#8b94a2',
    hand: '#f5a254',
    ipset: '#ee8fd0',
    nft: '#7fa9ff',
    ebpf: '#3fcfae',
    emulated: '#cfa76a',
    card: '#b79bf5',
    other: '#e0e3e8',
  },
}

const variables = ({ looks, ...rest }: Scheme): string =>
  [
    ...Object.entries(rest).map(([name, value]) => `--${name}:${value}`),
    ...Object.entries(looks).map(([name, value]) => `--look-${name}:${value}`),
  ].join(';')

const looks = Object.keys(LIGHT.looks)
  .map((look) => `.look-${look}{--look:var(--look-${look})}`)
  .join('\n')

export const STYLE = `
:root{color-scheme:light dark;${variables(LIGHT)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK)}}}
@media print{:root{color-scheme:light;${variables(LIGHT)}}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:40px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:22px;line-height:1.3;margin:56px 0 8px;letter-spacing:-.005em}
h3{font-size:15px;margin:0 0 2px}
p{margin:0 0 10px;max-width:76ch}
a{color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.quiet,.sub,caption,.aside,.note{color:var(--quiet)}
.sub{font-size:15px;overflow-wrap:anywhere}
.note{font-size:13px;margin:0}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--paper);padding:6px 10px}
.warnings{list-style:none;margin:16px 0 0;padding:0}
.warnings li{border-left:4px solid var(--warn);background:var(--card);padding:8px 12px;margin:0 0 6px;overflow-wrap:anywhere}
.lead{margin:0}.answer{margin:0 0 12px;padding-left:20px;max-width:90ch;font-variant-numeric:tabular-nums}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;margin:20px 0 0;padding:12px 0;border-block:1px solid var(--rule);font-size:14px}
.tally{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 18px;padding:0;list-style:none}
.tally li{background:var(--card);border-radius:8px;padding:8px 14px;min-width:104px;font-size:13px;color:var(--quiet)}
.tally b{display:block;font-size:26px;line-height:1.15;color:var(--tone,var(--ink));font-variant-numeric:tabular-nums}
.good{--tone:var(--good)}.bad{--tone:var(--bad)}.warn,.noisy{--tone:var(--warn)}.none{--tone:var(--quiet)}
.scroll{overflow-x:auto;margin:0 0 12px}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:6px 0;font-size:13px}
th,td{text-align:right;vertical-align:top;padding:7px 10px;border-bottom:1px solid var(--rule)}
th{font-weight:600}
thead th{color:var(--quiet);font-size:13px;vertical-align:bottom;border-bottom-width:2px}
th:first-child,td:first-child{text-align:left;padding-left:0}
tbody th{min-width:150px}
td.tone{color:var(--tone)}
.aside{display:block;font-size:12px;white-space:nowrap}
.promises td,.promises th{text-align:left}
.promises td.num{min-width:9em;overflow-wrap:anywhere}
.promises .aside{white-space:normal}
.rows{margin:4px 0 0;padding:0;list-style:none;font-size:13px;color:var(--ink);text-align:left}
.rows li{padding:1px 0 1px 12px;text-indent:-12px;overflow-wrap:anywhere;min-width:26em}
.promises .rows li{min-width:0}
.more{margin:0}.more summary{font-size:12px;padding:2px 0}
.mark{width:180px}
.mark svg{display:block;width:180px;height:22px}
.mark .axis{stroke:var(--rule)}.mark .target{stroke:var(--promise)}
.mark .bar{stroke:var(--tone);stroke-width:8;opacity:.45}.mark .mid{fill:var(--tone)}
.word{display:inline-block;font-weight:600;color:var(--tone);white-space:nowrap}
.word::before{content:attr(data-sign);display:inline-block;width:1.3em}
.emulated{display:inline-block;border:1px solid currentColor;border-radius:4px;padding:0 5px;margin-left:6px;font-size:11px;line-height:16px;font-weight:400;color:var(--warn);vertical-align:1px}
.note:empty{display:none}
.key{margin-left:-7px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:28px 32px;margin:16px 0}
figure{position:relative;margin:0;min-width:0}
.key{display:flex;flex-wrap:wrap;gap:2px 4px;margin:6px 0 4px;min-height:28px}
.key button{font:13px/20px inherit;font-family:inherit;font-size:13px;color:var(--ink);background:none;border:1px solid transparent;border-radius:6px;padding:2px 7px;cursor:pointer}
.key button:hover{border-color:var(--rule)}
.key button[aria-pressed=false]{color:var(--quiet);text-decoration:line-through}
.key button[aria-pressed=false]::before{opacity:.45}
.look::before{content:'';display:inline-block;width:11px;height:11px;border:2px solid var(--look);background:var(--look);border-radius:3px;margin-right:6px;vertical-align:-1px}
.look-nothing::before{background:none;border-radius:50%}
.look-limit::before,.look-limit-nft::before{background:none;border-style:dashed}
.look-limit::before{border-style:dotted}
.look-ebpf::before{border-radius:50%}
.look-hand::before,.look-ipset::before,.look-emulated::before,.look-card::before{border-radius:0;width:13px;height:13px;border-width:0}
.look-hand::before{clip-path:polygon(50% 0,100% 95%,0 95%)}
.look-ipset::before{clip-path:polygon(0 5%,100% 5%,50% 100%)}
.look-emulated::before,.look-card::before{clip-path:polygon(50% 0,100% 50%,50% 100%,0 50%)}
.area{min-height:260px;width:100%}
.tip{position:absolute;pointer-events:none;background:var(--paper);border:1px solid var(--rule);border-radius:8px;box-shadow:0 4px 16px #0003;padding:8px 12px;font-size:13px;max-width:min(100%,360px);z-index:2}
.tip[hidden]{display:none}
.tip strong{display:block;margin-bottom:2px}
.tip span{display:flex;align-items:baseline;gap:0}
.tip b{margin-left:auto;padding-left:14px;font-variant-numeric:tabular-nums;text-align:right}
.ranges{margin:20px 0}
.ranges .row{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,420px) minmax(0,240px);gap:2px 18px;align-items:center;font-size:14px;border-bottom:1px solid var(--rule);padding:3px 0}
.ranges .row:last-child{border:0}
.ranges .name{overflow-wrap:anywhere}
.ranges .value{text-align:right;font-variant-numeric:tabular-nums}
.ranges svg{display:block;width:100%;height:auto}
.ranges .decade{stroke:var(--grid)}
.ranges .tail{stroke:var(--look);stroke-width:1.5}
.ranges .bulk{stroke:var(--look);stroke-width:6}
.ranges .median{stroke:var(--look);stroke-width:3}
.ranges .promised{stroke:var(--promise);stroke-width:2;stroke-dasharray:4 2}
.ranges text{fill:var(--quiet);font-size:12px;text-anchor:middle}
.ranges text:first-child{text-anchor:start}.ranges text:last-child{text-anchor:end}
details{margin:0 0 14px}
summary{cursor:pointer;color:var(--accent);font-size:14px;padding:4px 0}
dl{display:grid;grid-template-columns:minmax(110px,max-content) 1fr;gap:4px 18px;margin:0 0 20px;font-size:14px}
dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
pre{background:var(--card);border-radius:8px;padding:10px 12px;font:13px/1.5 ui-monospace,'DejaVu Sans Mono',monospace;white-space:pre-wrap;overflow-wrap:anywhere;margin:2px 0 12px}
footer{margin-top:64px;padding-bottom:40px;font-size:13px;color:var(--quiet)}
footer pre{color:var(--quiet)}
${looks}
@media screen and (max-width:900px){
.promises thead{position:absolute;left:-9999px}
.promises tbody,.promises tr,.promises td,.promises th{display:block;border:0;padding:2px 0}
.promises tr{border-bottom:1px solid var(--rule);padding:10px 0}
.promises td.num{min-width:0}
.promises td.target{color:var(--quiet)}
.promises td.target::before{content:attr(data-name) ': '}
.mark svg{width:100%;max-width:300px}
}
@media (max-width:640px){
main,header,footer{padding-left:16px;padding-right:16px}
header{padding-top:24px}
h1{font-size:25px}h2{font-size:20px;margin-top:40px}
.ranges .row{grid-template-columns:1fr}
.ranges .value{text-align:left}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:8px}
}
@media print{
body{font-size:11px}
nav,.skip,.tip,summary{display:none}
h2{margin-top:24px;break-after:avoid}
figure,tr,.tally{break-inside:avoid}
.plots{grid-template-columns:1fr}
.scroll{overflow:visible}
th,td{padding:3px 5px}
details::details-content{content-visibility:visible;block-size:auto}
}
`
