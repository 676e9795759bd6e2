"""What the page of an audit adds to the look of all pages: cards of pairs, shelves of pictures, answers."""

CSS = """
.answers { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
.answers > div { border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; }
.answers h3 { margin: 0; color: var(--soft); font-size: .86rem; }
.answers .value { font-size: 1.3rem; font-weight: 600; margin: .1rem 0 .3rem; }
.answers p { margin: 0; font-size: .88rem; }
.pairs ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr));
  gap: .8rem; padding: 0; margin: 0 0 1.2rem; list-style-position: inside; }
.pairs li { border: 1px solid var(--line); border-radius: 6px; padding: .6rem .7rem; min-width: 0;
  color: var(--soft); break-inside: avoid; }
.pairs .unnumbered { list-style: none; }
.pairs p { margin: .15rem 0 0; font-size: .84rem; overflow-wrap: anywhere; }
.pairs .evidence { color: var(--ink); font-weight: 600; margin-top: .4rem; }
.pictures { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin-top: .2rem; }
.of-two .pictures { grid-template-columns: repeat(2, 1fr); }
.shelf { display: grid; grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); gap: .6rem;
  margin-bottom: 1rem; }
.shelves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 13.2rem), 1fr));
  gap: 0 1.2rem; }
.shelves h3 { margin: .2rem 0 .4rem; font-size: .86rem; color: var(--soft); }
.pictures div, .shelf div { min-width: 0; }
.pictures span, .shelf span { display: block; color: var(--soft); font-size: .78rem; line-height: 1.3;
  margin-top: .15rem; overflow-wrap: anywhere; }
.pairs img, .shelf img { display: block; width: 100%; height: auto; max-height: 18rem;
  object-fit: contain; outline: 1px solid var(--line); }
.coarse { image-rendering: pixelated; }
main { overflow-wrap: anywhere; }
summary { margin: .4rem 0 .8rem; }
td { max-width: 30rem; overflow: hidden; text-overflow: ellipsis; }
"""
