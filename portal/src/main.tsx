import "./mantine.css";
import "./theme.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { makeRouter } from "./router";
import { theme } from "./theme";

const queries = new QueryClient({
  defaultOptions: {
    // The client itself waits out a server that is away; what still fails will fail again.
    queries: { retry: false, staleTime: 10_000, networkMode: "always" },
    mutations: { networkMode: "always" },
  },
});
const router = makeRouter(queries);

const element = document.getElementById("root");
if (element !== null) {
  createRoot(element).render(
    <StrictMode>
      {/* All style sheets are files: the Content-Security-Policy lets no script add one. */}
      <MantineProvider theme={theme} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
          <Notifications position="bottom-right" />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
