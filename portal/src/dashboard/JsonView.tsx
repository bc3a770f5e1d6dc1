import { json } from "@codemirror/lang-json";
import { defaultHighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { MergeView } from "@codemirror/merge";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, keymap, lineNumbers } from "@codemirror/view";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import css from "./JsonView.module.css";

interface JsonViewProps {
  /** What to compare with; nothing to show one document only. */
  before?: Record<string, unknown>;
  after: Record<string, unknown>;
}

/** The members that the server adds differ in every version and say nothing. */
function printed(document: Record<string, unknown>): string {
  const { id: _id, version: _version, ...rest } = document;
  return JSON.stringify(rest, null, 2);
}

function extensions(isDark: boolean): Extension[] {
  const look = EditorView.theme(
    {
      "&": { fontSize: "12.5px", backgroundColor: "transparent", color: isDark ? "#e4e9ed" : "#1b2229" },
      ".cm-gutters": {
        backgroundColor: "transparent",
        border: "none",
        color: isDark ? "#9aa7b2" : "#586570",
      },
      ".cm-scroller": { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" },
      // The sign that CodeMirror puts here is in few fonts.
      ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: '"…"' },
      ".cm-collapsedLines": isDark ? { background: "#1c2329", color: "#c3ced7" } : { color: "#3c4852" },
      "&.cm-focused": { outline: "2px solid #1f998d" },
    },
    { dark: isDark },
  );
  return [
    lineNumbers(),
    drawSelection(),
    json(),
    // The colors of the default style are made for a light ground.
    isDark ? [] : syntaxHighlighting(defaultHighlightStyle),
    EditorView.lineWrapping,
    EditorState.readOnly.of(true),
    EditorView.contentAttributes.of({ "aria-label": "JSON", tabindex: "0" }),
    keymap.of([]),
    look,
  ];
}

/** A document as JSON, or two side by side with what differs.
 *
 * It lives in a shadow root, where CodeMirror adopts its style sheets instead of adding elements that the
 * Content-Security-Policy forbids. */
export default function JsonView({ before, after }: JsonViewProps) {
  const host = useRef<HTMLDivElement>(null);
  const isDark = useComputedColorScheme() === "dark";
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
    const parent = document.createElement("div");
    root.append(parent);
    const common = extensions(isDark);
    let view: { destroy: () => void };
    if (before === undefined) {
      view = new EditorView({ doc: printed(after), extensions: common, parent, root });
    } else {
      view = new MergeView({
        a: { doc: printed(before), extensions: common },
        b: { doc: printed(after), extensions: common },
        parent,
        root,
        collapseUnchanged: { margin: 4, minSize: 6 },
        diffConfig: { timeout: 1000 },
      });
    }
    return () => {
      view.destroy();
      parent.remove();
    };
  }, [before, after, isDark]);
  return <div ref={host} className={css.view} />;
}
