import { createTheme, type MantineColorsTuple, type MenuProps, type ModalProps } from "@mantine/core";

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
  // Plain objects, because to name the components themselves would load them before they are needed.
  components: {
    Modal: {
      defaultProps: {
        // Locking the page's scrolling would add a style sheet by script.
        lockScroll: false,
        centered: true,
        padding: "lg",
        closeButtonProps: { "aria-label": "Close" },
      } satisfies Partial<ModalProps>,
    },
    // The placeholder is no item, and nothing else may be in a menu.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } satisfies Partial<MenuProps> },
  },
});
