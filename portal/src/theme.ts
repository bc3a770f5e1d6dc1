import { createTheme, type MantineColorsTuple, Modal } from "@mantine/core";

/** The variables of these colors are in theme.css: the Content-Security-Policy lets no script add style sheets. */
const accent: MantineColorsTuple = [
  "#e9f7f5",
  "#d0eeea",
  "#a3dcd5",
  "#72c9bf",
  "#43b3a7",
  "#1f998d",
  "#0f766e",
  "#0c655e",
  "#0a544f",
  "#08433f",
];

export const theme = createTheme({
  primaryColor: "accent",
  colors: { accent },
  respectReducedMotion: true,
  cursorType: "pointer",
  defaultRadius: "md",
  components: {
    // Locking the page's scrolling would add a style sheet by script.
    Modal: Modal.extend({ defaultProps: { lockScroll: false, centered: true, padding: "lg" } }),
  },
});
