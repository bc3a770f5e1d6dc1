import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";
import css from "./ui.module.css";

interface PageProps {
  /** The heading, which is the title of the document too. */
  title: string;
  description?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its heading, what can be done with all of it, and its content. */
export function Page({ title, description, actions, children }: PageProps) {
  useDocumentTitle(`${title.slice(0, 80)} · Kymograph`);
  return (
    <div className={css.page}>
      <header className={css.head}>
        <div className={css.title}>
          <h1 title={title.length > 100 ? title : undefined}>
            <bdi>{title}</bdi>
          </h1>
          {description !== undefined && <p>{description}</p>}
        </div>
        {actions !== undefined && <div className={css.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface CardProps {
  title?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
  /** Whether the content reaches the border, as a table does. */
  isFlush?: boolean;
}

/** A part of a page. */
export function Card({ title, aside, children, isFlush = false }: CardProps) {
  return (
    <section className={css.card}>
      {title !== undefined && (
        <div className={css.cardHead}>
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      {isFlush ? children : <div className={css.cardBody}>{children}</div>}
    </section>
  );
}

/** An e-mail address, or a login where there is none. It breaks behind its @ rather than in a word. */
export function Address({ children }: { children: string }) {
  const at = children.indexOf("@") + 1;
  return (
    <bdi className={css.name}>
      {children.slice(0, at)}
      <wbr />
      {children.slice(at)}
    </bdi>
  );
}

/** A name that somebody chose, as text. */
export function Name({ children }: { children: string }) {
  return (
    <bdi className={css.name} title={children.length > 60 ? children.slice(0, 1000) : undefined}>
      {children}
    </bdi>
  );
}

/** What a list says that has nothing in it. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}
