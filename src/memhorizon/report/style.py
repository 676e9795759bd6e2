"""The look of a page, in light and dark."""

CSS = """
:root { color-scheme: light dark; --ink: #1d1d1f; --soft: #5c5c66; --paper: #ffffff;
  --line: #dcdce0; --accent: #440154; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --soft: #a3a3ad; --paper: #171717; --line: #37373d; --accent: #b9a3d6; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 900px; margin: 0 auto; padding: 2.2rem 1.2rem 4rem; }
h1 { font-size: 1.25rem; font-weight: 600; color: var(--soft); margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; font-weight: 600; margin: 2.6rem 0 .8rem; }
.found { font-size: 1.3rem; line-height: 1.42; margin: 0 0 1.3rem; padding-left: .9rem;
  border-left: 4px solid var(--accent); }
figure { margin: 0 0 1.4rem; }
figure svg { display: block; width: 100%; height: auto; margin: 0 auto; fill: var(--ink); }
figcaption { font-size: .86rem; color: var(--soft); margin-top: .5rem; }
.wide { overflow-x: auto; margin-bottom: 1.2rem;  /* a shadow where there is more to the side */
  background:
    linear-gradient(to right, var(--paper) 30%, transparent) left / 36px 100% no-repeat local,
    linear-gradient(to left, var(--paper) 30%, transparent) right / 36px 100% no-repeat local,
    linear-gradient(to right, var(--line), transparent) left / 12px 100% no-repeat scroll,
    linear-gradient(to left, var(--line), transparent) right / 12px 100% no-repeat scroll; }
figure .wide { margin: 0; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .3rem .5rem; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; vertical-align: bottom;
  white-space: normal; overflow-wrap: normal; }
th:first-child, td:first-child { text-align: left; }
p, li { font-size: .94rem; }
section > p, .advice { color: var(--soft); }
code { font-size: .9em; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; font-size: .86rem;
  margin: 1.3rem 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.number { font-size: 2.2rem; line-height: 1.15; font-weight: 600; margin: 1.2rem 0 0; }
.number span { font-size: 1.25rem; font-weight: 400; white-space: nowrap; }
.of { color: var(--soft); margin: .1rem 0 1.1rem; }
a { color: var(--accent); }
.notes { list-style: none; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 6px; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.8rem 0 .6rem; }
@media print { body { background: #fff; } figure, table { break-inside: avoid; } }
"""
