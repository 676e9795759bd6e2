"""What the page of a monitored training adds to the look of all pages: contact sheets, the certificate."""

CSS = """
.sheet { list-style: none; padding: 0; margin: 0 0 1.4rem; display: grid; gap: .5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 7rem), 1fr)); }
.sheet li { border: 2px solid var(--line); border-radius: 6px; padding: .35rem; min-width: 0;
  break-inside: avoid; }
.sheet .copy { border-color: #d1330f; }
.sheet div { display: grid; grid-template-columns: 1fr 1fr; gap: .25rem; }
.sheet span { display: block; color: var(--soft); font-size: .78rem; margin-top: .2rem; }
.sheet img { display: block; width: 100%; height: auto; max-height: 12rem; object-fit: contain; }
.certificate { border: 1px solid var(--line); border-left: 4px solid #2a7f4f; border-radius: 6px;
  padding: .7rem .9rem; }
.coarse { image-rendering: pixelated; }
main { overflow-wrap: anywhere; }
summary { margin: .4rem 0 .8rem; }
th, td { overflow-wrap: normal; }
td { max-width: 30rem; overflow: hidden; text-overflow: ellipsis; }
td:first-child { min-width: 7rem; white-space: normal; }
th:last-child { min-width: 8rem; }
"""
